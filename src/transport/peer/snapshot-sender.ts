/**
 * Sends one snapshot on a connection of its own, beside the link, so that no message waits behind it.
 *
 *     ▶ binary: the announcement, packed like a link's message        ◀ text {"type":"failed","failure":{…}}, any time
 *     ▶ binary: a part of the snapshot, as often as needed             ◀ text {"type":"working"} after the end
 *     ▶ text {"type":"end","bytes":n,"crc":c}   c: CRC-32C of all parts ◀ text {"type":"taken"}
 *
 * Back-pressure is the socket's: the next part is asked for when the last ones have left. Progress is a part that
 * left, or a word from the receiver; without any for {@link PEER_SNAPSHOT_STALL_MS} the transfer ends.
 */

import type {WebSocket} from 'ws';
import {EngineError, type EngineFailure} from '../../engine/errors.ts';
import {crc32c} from '../../engine/lib/crc32c.ts';
import {isCount, isObject} from '../../engine/lib/plain-data.ts';
import {PEER_SOCKET_BYTES_MAX} from '../../engine/limits.ts';
import type {Clock} from '../../engine/ports.ts';
import {packValue, readFailure} from './frame-codec.ts';
import type {PeerMetrics} from './peer-metrics.ts';

export type SnapshotControl =
  | {readonly type: 'end'; readonly bytes: number; readonly crc: number}
  | {readonly type: 'working'}
  | {readonly type: 'taken'}
  | {readonly type: 'failed'; readonly failure: EngineFailure};

/** Undefined: not understood. */
export function readControl(data: Buffer): SnapshotControl | undefined {
  try {
    const value: unknown = JSON.parse(data.toString('utf8'));
    if (!isObject(value)) return undefined;
    const {type, bytes, crc, failure} = value;
    if (type === 'failed') return {type, failure: readFailure(failure)};
    if (type === 'end') return isCount(bytes) && isCount(crc) ? {type, bytes, crc} : undefined;
    return type === 'working' || type === 'taken' ? {type} : undefined;
  } catch {
    return undefined;
  }
}

export function writeControl(control: SnapshotControl): string {
  return JSON.stringify(control);
}

const BINARY = {binary: true, compress: false};

export class SnapshotSender {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #metrics: PeerMetrics;
  readonly #stallMs: number;
  #failure: EngineError | undefined;
  #isTaken = false;
  #progressMs: number;
  #cancelWatch: () => void;
  /** Lets {@link #wait} look again. */
  #wake: () => void = () => undefined;

  constructor(options: {socket: WebSocket; clock: Clock; metrics: PeerMetrics; stallMs: number}) {
    this.#socket = options.socket;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#stallMs = options.stallMs;
    this.#progressMs = options.clock.monotonicMs();
    this.#cancelWatch = options.clock.after(options.stallMs, () => this.#watch());
    this.#socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary));
    this.#socket.on('error', () => this.fail({code: 'timeoutConnectionLost'}));
    this.#socket.on('close', () => this.fail({code: 'timeoutConnectionLost'}));
  }

  /** Resolves when the receiver has taken it in; rejects with EngineError. Always ends the connection. */
  async send(announcement: unknown, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const iterator = chunks[Symbol.asyncIterator]();
    try {
      this.#write(packValue(announcement));
      await this.#sendAll(iterator);
      await this.#wait(() => this.#isTaken);
      this.#socket.close(1000);
    } catch (error) {
      this.#socket.terminate();
      await this.#end(iterator);
      throw error;
    } finally {
      this.#cancelWatch();
    }
  }

  /**
   * Waits until the source is no longer at work: its owner closes what it reads from when {@link send} rejects.
   * A source that hangs must not keep the failure from its caller for ever.
   */
  async #end(iterator: AsyncIterator<Uint8Array>): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(this.#stallMs, resolve);
      const ended = iterator.return?.() ?? Promise.resolve();
      ended
        .catch(() => undefined)
        .then(() => {
          cancel();
          resolve();
        });
    });
  }

  fail(failure: EngineFailure): void {
    this.#failure ??= new EngineError(failure);
    this.#wake();
  }

  async #sendAll(iterator: AsyncIterator<Uint8Array>): Promise<void> {
    let bytes = 0;
    let crc = 0;
    for (;;) {
      const next = await this.#orOver(iterator.next());
      if (next === undefined) {
        // The receiver needs no more.
        await this.#end(iterator);
        return;
      }
      if (next.done) break;
      bytes += next.value.length;
      crc = crc32c(next.value, crc);
      this.#write(next.value);
      await this.#wait(() => this.#isTaken || this.#socket.bufferedAmount < PEER_SOCKET_BYTES_MAX);
    }
    this.#socket.send(writeControl({type: 'end', bytes, crc}), this.#written);
  }

  #write(bytes: Uint8Array): void {
    this.#metrics.sentBytes.add(bytes.length);
    this.#socket.send(bytes, BINARY, this.#written);
  }

  readonly #written = (error?: Error | null): void => {
    if (!error) this.#progressMs = this.#clock.monotonicMs();
    this.#wake();
  };

  #received(data: Buffer, isBinary: boolean): void {
    this.#progressMs = this.#clock.monotonicMs();
    const control = isBinary ? undefined : readControl(data);
    if (control?.type === 'taken') this.#isTaken = true;
    else if (control?.type === 'failed') this.fail(control.failure);
    this.#wake();
  }

  #watch(): void {
    const quietMs = this.#clock.monotonicMs() - this.#progressMs;
    if (quietMs >= this.#stallMs) this.fail({code: 'timeout'});
    else this.#cancelWatch = this.#clock.after(this.#stallMs - quietMs, () => this.#watch());
  }

  /** Waits until `isTrue`, or throws what went wrong meanwhile. */
  async #wait(isTrue: () => boolean): Promise<void> {
    for (;;) {
      if (isTrue()) return;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** What `promise` gives, unless the receiver has it all (undefined) or something goes wrong before. */
  #orOver<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#isTaken) resolve(undefined);
        else if (this.#failure !== undefined) reject(this.#failure);
      };
      this.#wake = look;
      look();
      promise.then(resolve, reject);
    });
  }
}
