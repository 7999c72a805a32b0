/** A growing byte string, written front to back: the counterpart of {@link ByteReader}. */

import {varintSize, writeVarint} from './varint.ts';

const START_BYTES = 1024;
/** A buffer that grew beyond this is not kept for the next use. */
const KEPT_BYTES_MAX = 1024 * 1024;

export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** A safe integer from 0. */
  varint(value: number): void {
    this.#reserve(varintSize(value));
    this.#length = writeVarint(this.#bytes, this.#length, value);
  }

  /** Bytes behind their length. */
  prefixed(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  /** Takes the low 64 bits of any number, signed or not. */
  uint64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigUint64(this.#length, BigInt.asUintN(64, value));
    this.#length += 8;
  }

  /** A copy of what was written; the writer begins anew. */
  finish(): Uint8Array {
    const result = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(result, 0, 0, this.#length);
    this.reset();
    return result;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#length = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#grow(START_BYTES);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed > this.#bytes.length) this.#grow(Math.max(needed, this.#bytes.length * 2));
  }

  #grow(size: number): void {
    const grown = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
