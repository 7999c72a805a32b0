/**
 * The messages of one request, unpacked. While a large one is unpacked off the event loop, what comes behind it waits
 * as bytes.
 */

import {compactBytes} from '../../engine/lib/bytes.ts';
import {type MessageEncoding, MessageReader} from './grpc-message.ts';
import {type JobBudget, unpackLargeMessage, unpackSmallMessage} from './gzip.ts';

export interface MessageIntakeOptions {
  readonly bytesMax: number;
  readonly encoding: MessageEncoding;
  /** Pays for the message that is being unpacked. */
  readonly budget: JobBudget;
  readonly deliver: (message: Uint8Array) => void;
  /** A message that waited has been delivered, and what had come behind it was read. */
  readonly resumed: () => void;
  /** ... or it was none, or what followed was not. */
  readonly failed: (error: unknown) => void;
}

export class MessageIntake {
  readonly #options: MessageIntakeOptions;
  readonly #reader: MessageReader;
  /** A message is being unpacked. */
  #isWaiting = false;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  constructor(options: MessageIntakeOptions) {
    this.#options = options;
    this.#reader = new MessageReader(options.bytesMax, options.encoding);
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Memory held for messages that are not delivered yet, bytes, but for one that is being unpacked. */
  get heldBytes(): number {
    return this.#reader.heldBytes + this.#waitingBytes;
  }

  get isAtBoundary(): boolean {
    return this.#reader.isAtBoundary;
  }

  /** @throws GrpcError as MessageReader does; internal for what does not unpack; resourceExhausted */
  push(chunk: Buffer, start: number, end: number): void {
    const at = this.#isWaiting ? start : this.#reader.push(chunk, start, end, this.#take);
    if (at < end) this.#keep(chunk.subarray(at, end));
  }

  readonly #take = (message: Uint8Array, isCompressed: boolean): boolean => {
    const unpacked = isCompressed ? unpackSmallMessage(message, this.#options.bytesMax) : message;
    if (unpacked === undefined) {
      this.#unpack(message);
      return false;
    }
    this.#options.deliver(unpacked);
    return true;
  };

  #unpack(message: Uint8Array): void {
    this.#isWaiting = true;
    unpackLargeMessage(message, this.#options.bytesMax, this.#options.budget)
      .then((unpacked) => {
        this.#isWaiting = false;
        this.#waitingBytes = 0;
        const pieces = this.#waiting;
        this.#waiting = [];
        this.#options.deliver(unpacked);
        for (const piece of pieces) this.push(piece, 0, piece.length);
        this.#options.resumed();
      })
      .catch(this.#options.failed);
  }

  #keep(piece: Buffer): void {
    this.#waiting.push(compactBytes(piece) as Buffer);
    this.#waitingBytes += piece.length;
  }
}
