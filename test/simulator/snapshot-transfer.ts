/** A snapshot on its way between two simulated members; either end's failure reaches the other, or its silence does. */

import {EngineError} from '../../src/engine/errors.ts';
import {PEER_SNAPSHOT_QUEUE_CHUNKS, PEER_SNAPSHOT_STALL_MS} from '../../src/engine/limits.ts';
import type {Message} from '../../src/engine/raft/message.ts';
import {failureOf} from '../../src/transport/peer/frame-codec.ts';
import type {SimulatedEndpoint} from './simulated-endpoint.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import {announcementReceived, failureReceived} from './wire.ts';

export interface TransferOptions {
  readonly net: SimulatedNetwork;
  readonly from: SimulatedEndpoint;
  readonly to: SimulatedEndpoint;
  readonly announcement: Message;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A link of one gigabit a second, bytes per millisecond. */
const BYTES_PER_MS = 125_000;

export class SnapshotTransfer {
  readonly from: SimulatedEndpoint;
  readonly to: SimulatedEndpoint;
  readonly #options: TransferOptions;
  #arrived: Uint8Array[] = [];
  #isComplete = false;
  #isBroken = false;
  #receiverFailure: EngineError | undefined;
  #senderFailure: EngineError | undefined;
  #wakeReceiver: () => void = () => undefined;
  #wakeSender: () => void = () => undefined;
  #verdict: {readonly error: EngineError | undefined} | undefined;
  #cancelStall: () => void = () => undefined;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.from = options.from;
    this.to = options.to;
  }

  concerns(endpoint: SimulatedEndpoint): boolean {
    return endpoint === this.from || endpoint === this.to;
  }

  /** The transfer is over for this end, and soon for the other. */
  endAt(endpoint: SimulatedEndpoint, error: EngineError): void {
    const lost = new EngineError({code: 'timeoutConnectionLost'});
    if (endpoint === this.from) {
      this.#failSender(error);
      this.to.arrive(() => this.#failReceiver(lost));
    } else {
      this.#failReceiver(error);
      this.from.arrive(() => this.#failSender(lost));
    }
  }

  /** The sender's part. */
  async run(): Promise<void> {
    const {net, chunks} = this.#options;
    this.#armStall();
    this.#toReceiver(() => this.#begin());
    const source = chunks[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await source.next();
        if (this.#senderFailure !== undefined) throw this.#senderFailure;
        if (next.done) break;
        if (this.#verdict !== undefined) {
          // The receiver needs no more.
          await source.return?.();
          this.#cancelStall();
          return;
        }
        const bytes = Buffer.from(next.value);
        await this.#sleepAtSender(bytes.length / BYTES_PER_MS);
        this.#toReceiver(() => {
          this.#arrived.push(bytes);
          this.#wakeReceiver();
        });
        const mayGoOn = () => this.#senderFailure !== undefined || this.#verdict !== undefined;
        while (this.#arrived.length >= PEER_SNAPSHOT_QUEUE_CHUNKS && !mayGoOn()) {
          await this.#sleepAtSender(net.delayMs());
        }
      }
    } catch (error) {
      const failure = error instanceof EngineError ? error : new EngineError(failureOf(error));
      const lost = new EngineError({code: 'timeoutConnectionLost'});
      // Behind the parts that are on their way; where the way is cut, the stall tells.
      this.#toReceiver(() => this.#failReceiver(lost));
      await source.return?.();
      throw failure;
    }
    this.#toReceiver(() => {
      this.#isComplete = true;
      this.#wakeReceiver();
    });
    await new Promise<void>((resolve) => {
      this.#wakeSender = resolve;
      if (this.#verdict !== undefined || this.#senderFailure !== undefined) resolve();
    });
    this.#cancelStall();
    if (this.#senderFailure !== undefined) throw this.#senderFailure;
    if (this.#verdict?.error !== undefined) throw this.#verdict.error;
  }

  #begin(): void {
    const {handlers} = this.to;
    if (handlers === undefined || this.#receiverFailure !== undefined) return;
    const ends = {from: this.from.identity.memberId, to: this.to.identity.memberId};
    const announcement = announcementReceived(this.#options.announcement, ends);
    handlers.receiveSnapshot(ends.from, announcement, this.#iterate()).then(
      () => this.#say(undefined),
      (error: unknown) => {
        this.to.asserted(error);
        this.#say(new EngineError(failureReceived(failureOf(error))));
      },
    );
  }

  #say(error: EngineError | undefined): void {
    const {net} = this.#options;
    if (net.isCut(this.to.host, this.from.host)) return;
    this.from.arrive(() => {
      this.#verdict = {error};
      if (error !== undefined && !this.#isComplete) this.#senderFailure = error;
      this.#wakeSender();
    });
  }

  async *#iterate(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunk = this.#arrived.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      if (this.#receiverFailure !== undefined) throw this.#receiverFailure;
      if (this.#isComplete) return;
      await new Promise<void>((resolve) => {
        this.#wakeReceiver = resolve;
      });
    }
  }

  #toReceiver(action: () => void): void {
    const {net} = this.#options;
    // In order: every part takes the same way at the same speed.
    net.queue.after(net.weather.delayMsMax, () => {
      // What is lost is never sent again, so nothing behind it may arrive either.
      if (net.isCut(this.from.host, this.to.host)) this.#isBroken = true;
      if (this.#isBroken) return;
      if (this.to.handlers !== undefined) this.to.clock.enter(action);
    });
  }

  #sleepAtSender(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.net.queue.after(ms, () => this.from.clock.enter(resolve));
    });
  }

  /** Lost parts are never made up for here: the transfer then ends by this. */
  #armStall(): void {
    this.#cancelStall = this.#options.net.queue.after(PEER_SNAPSHOT_STALL_MS, () => {
      const error = new EngineError({code: 'timeoutConnectionLost'});
      this.from.clock.enter(() => this.#failSender(error));
      this.to.clock.enter(() => this.#failReceiver(error));
    });
  }

  #failSender(error: EngineError): void {
    this.#senderFailure ??= error;
    this.#wakeSender();
  }

  #failReceiver(error: EngineError): void {
    if (this.#isComplete) return;
    this.#receiverFailure ??= error;
    this.#wakeReceiver();
  }
}
