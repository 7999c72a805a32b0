/** The other end of snapshot-sender.ts: takes one snapshot in and says how it went. */

import type {WebSocket} from 'ws';
import {AssertionError, EngineError, type EngineFailure} from '../../engine/errors.ts';
import {crc32c} from '../../engine/lib/crc32c.ts';
import {hex64} from '../../engine/lib/hex64.ts';
import {PEER_SNAPSHOT_QUEUE_CHUNKS} from '../../engine/limits.ts';
import type {Clock, Logger, PeerHandlers} from '../../engine/ports.ts';
import type {Message} from '../../engine/raft/message.ts';
import type {MemberId} from '../../engine/types.ts';
import {failureOf, unpackValue} from './frame-codec.ts';
import {decodeMessage, MalformedFrameError} from './message-codec.ts';
import type {PeerMetrics} from './peer-metrics.ts';
import {readControl, type SnapshotControl, writeControl} from './snapshot-sender.ts';

export interface SnapshotReceiverOptions {
  readonly socket: WebSocket;
  readonly from: MemberId;
  readonly self: MemberId;
  readonly handlers: PeerHandlers<Message, unknown, unknown>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  readonly stallMs: number;
  /** The transfer is over, in whatever way, and its handler has returned. */
  closed(): void;
}

export class SnapshotReceiver {
  readonly from: MemberId;
  readonly #options: SnapshotReceiverOptions;
  readonly #socket: WebSocket;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #crc = 0;
  /** All parts are here, and they are what was sent. */
  #isComplete = false;
  /** The handler has returned: whatever else arrives is dropped. */
  #isOver = false;
  #failure: EngineError | undefined;
  #announcement: Message | undefined;
  #cancelStall: () => void;
  #wake: () => void = () => undefined;

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.from = options.from;
    this.#cancelStall = this.#armStall();
    this.#socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary));
    this.#socket.on('error', () => this.fail({code: 'timeoutConnectionLost'}));
    this.#socket.on('close', () => this.fail({code: 'timeoutConnectionLost'}));
  }

  /** Ends the transfer; the handler's iteration throws. */
  fail(failure: EngineFailure): void {
    if (this.#failure !== undefined) return;
    this.#failure = new EngineError(failure);
    this.#cancelStall();
    this.#socket.terminate();
    this.#wake();
    if (this.#announcement === undefined) this.#options.closed();
  }

  #received(data: Buffer, isBinary: boolean): void {
    if (this.#failure !== undefined || this.#isOver) return;
    this.#options.metrics.receivedBytes.add(data.length);
    this.#cancelStall();
    this.#cancelStall = this.#armStall();
    if (!isBinary) this.#controlled(readControl(data));
    else if (this.#announcement === undefined) this.#announced(data);
    else this.#partArrived(data);
    this.#wake();
  }

  #announced(data: Buffer): void {
    try {
      const ends = {from: this.from, to: this.#options.self};
      const message = decodeMessage(unpackValue(data), ends);
      if (message?.type !== 'snapshot') throw new MalformedFrameError('no snapshot is announced');
      this.#announcement = message;
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#options.logger.warn('snapshot from peer refused', {
        peer: hex64(this.from),
        reason: error.message,
      });
      this.fail({code: 'snapshotInvalid', detail: error.message});
      return;
    }
    void this.#handOver(this.#announcement);
  }

  #partArrived(data: Buffer): void {
    if (this.#isComplete) {
      this.fail({code: 'snapshotInvalid', detail: 'a part after the end'});
      return;
    }
    this.#bytes += data.length;
    this.#crc = crc32c(data, this.#crc);
    this.#chunks.push(data);
    if (this.#chunks.length >= PEER_SNAPSHOT_QUEUE_CHUNKS) {
      this.#cancelStall();
      this.#socket.pause();
    }
  }

  #controlled(control: SnapshotControl | undefined): void {
    if (control?.type !== 'end' || this.#announcement === undefined) return;
    if (control.bytes !== this.#bytes || control.crc !== this.#crc) {
      this.#say({type: 'failed', failure: {code: 'snapshotInvalid', detail: 'it changed on the way'}});
      this.fail({code: 'snapshotInvalid', detail: 'it changed on the way'});
      return;
    }
    this.#isComplete = true;
    // From here on the sender waits for this end alone, and hears that it is at work.
    this.#cancelStall();
    this.#cancelStall = this.#keepSaying();
  }

  async #handOver(announcement: Message): Promise<void> {
    const {handlers, logger, closed} = this.#options;
    try {
      await handlers.receiveSnapshot(this.from, announcement, this.#iterate());
      this.#say({type: 'taken'});
      this.#socket.close(1000);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      logger.warn('snapshot from peer failed', {peer: hex64(this.from), reason: String(error)});
      this.#say({type: 'failed', failure: failureOf(error)});
      this.#failure ??= new EngineError(failureOf(error));
      this.#socket.close(1011);
    } finally {
      this.#isOver = true;
      this.#chunks.length = 0;
      this.#cancelStall();
      this.#socket.resume();
      closed();
    }
  }

  async *#iterate(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        if (this.#socket.isPaused && this.#chunks.length < PEER_SNAPSHOT_QUEUE_CHUNKS / 2) {
          this.#cancelStall = this.#armStall();
          this.#socket.resume();
        }
        yield chunk;
      } else if (this.#isComplete) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #armStall(): () => void {
    return this.#options.clock.after(this.#options.stallMs, () => {
      this.#say({type: 'failed', failure: {code: 'timeout'}});
      this.fail({code: 'timeout'});
    });
  }

  #keepSaying(): () => void {
    return this.#options.clock.after(this.#options.stallMs / 4, () => {
      this.#say({type: 'working'});
      this.#cancelStall = this.#keepSaying();
    });
  }

  #say(control: SnapshotControl): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(writeControl(control));
  }
}
