/**
 * Messages that wait for one peer, in two lanes: what is small and keeps the cluster together (heartbeats, votes,
 * answers) overtakes what is bulky (appends, proposals). Within a lane order is kept; raft bears any order.
 * Bounded in bytes by its owner. Pure.
 */

import type {Message} from '../../engine/raft/message.ts';
import {messageBytes} from './message-codec.ts';

export class PeerQueue {
  #bytes = 0;
  #urgent: Message[] = [];
  #bulky: Message[] = [];
  /** Where the first waiting bulky message stands; those before it are gone. */
  #bulkyHead = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#urgent.length === 0 && this.#bulkyHead === this.#bulky.length;
  }

  push(message: Message): void {
    this.#bytes += messageBytes(message);
    if (message.type === 'append' || message.type === 'propose') this.#bulky.push(message);
    else this.#urgent.push(message);
  }

  /** All urgent messages, then bulky ones until `bytesMax` is reached; at least one message. */
  take(bytesMax: number): Message[] {
    const batch = this.#urgent;
    this.#urgent = [];
    let bytes = 0;
    for (const message of batch) bytes += messageBytes(message);
    while (this.#bulkyHead < this.#bulky.length && (bytes < bytesMax || batch.length === 0)) {
      const message = this.#bulky[this.#bulkyHead++];
      bytes += messageBytes(message);
      batch.push(message);
    }
    if (this.#bulkyHead === this.#bulky.length) this.#dropHead();
    else if (this.#bulkyHead > 1_024) this.#dropHead();
    this.#bytes -= bytes;
    return batch;
  }

  /** @returns how many were thrown away */
  clear(): number {
    const dropped = this.#urgent.length + this.#bulky.length - this.#bulkyHead;
    this.#urgent = [];
    this.#bulky = [];
    this.#bulkyHead = 0;
    this.#bytes = 0;
    return dropped;
  }

  #dropHead(): void {
    this.#bulky = this.#bulkyHead === this.#bulky.length ? [] : this.#bulky.slice(this.#bulkyHead);
    this.#bulkyHead = 0;
  }
}
