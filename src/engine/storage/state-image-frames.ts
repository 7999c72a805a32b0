/** Cuts a state image's stream back into frames, whatever pieces it arrives in, and checks each before it is used. */

import {assert, EngineError} from '../errors.ts';
import {crc32c} from '../lib/crc32c.ts';
import {BACKEND_KEY_BYTES_MAX, BACKEND_VALUE_BYTES_MAX, PEER_SNAPSHOT_CHUNK_BYTES} from '../limits.ts';

/** length u32 | checksum u32 */
const HEAD_BYTES = 8;
/** A full frame that ends with a record of the largest size: a length that says more is damage. */
const PAYLOAD_BYTES_MAX = PEER_SNAPSHOT_CHUNK_BYTES + BACKEND_KEY_BYTES_MAX + BACKEND_VALUE_BYTES_MAX + 64;

export class StateImageFrames {
  /** Pieces that have come and are not consumed; the first one from `#offset` on. */
  readonly #pieces: Uint8Array[] = [];
  #offset = 0;
  #available = 0;
  /** The frame whose head has been read and whose payload is not complete. */
  #head: {readonly length: number; readonly checksum: number} | undefined;
  #checksum = 0;

  /** Whether all that came has been consumed, and ended with a frame. */
  get isAtFrame(): boolean {
    return this.#head === undefined && this.#available === 0;
  }

  /** Keeps the piece until it is consumed. */
  add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#available += piece.length;
  }

  /**
   * The next complete frame's payload, in memory of its own.
   * @throws EngineError snapshotInvalid
   */
  next(): Buffer | undefined {
    if (this.#head === undefined) {
      if (this.#available < HEAD_BYTES) return undefined;
      const bytes = this.#take(HEAD_BYTES);
      this.#head = {length: bytes.readUInt32LE(0), checksum: bytes.readUInt32LE(4)};
      const {length} = this.#head;
      if (length === 0 || length > PAYLOAD_BYTES_MAX) throw invalid(`a frame of ${length} bytes`);
    }
    const {length, checksum} = this.#head;
    if (this.#available < length) return undefined;
    const payload = this.#take(length);
    this.#head = undefined;
    this.#checksum = crc32c(payload, this.#checksum);
    if (this.#checksum !== checksum) throw invalid('a frame has a wrong checksum');
    return payload;
  }

  #take(length: number): Buffer {
    const taken = Buffer.allocUnsafeSlow(length);
    for (let at = 0; at < length; ) {
      const piece = this.#pieces[0];
      const part = piece.subarray(this.#offset, this.#offset + length - at);
      taken.set(part, at);
      at += part.length;
      this.#offset += part.length;
      if (this.#offset === piece.length) {
        this.#pieces.shift();
        this.#offset = 0;
      }
    }
    this.#available -= length;
    assert(this.#available >= 0, 'more taken than came');
    return taken;
  }
}

function invalid(detail: string): EngineError {
  return new EngineError({code: 'snapshotInvalid', detail});
}
