/**
 * A cursor over the bytes of one protobuf message: the part of decoding that generated code shares. Primitives
 * stay inside the buffer; a message checks by `close` that it ended where its length said. Byte strings are
 * views of the input, nothing is allocated by what a length merely claims.
 */

import {asBuffer, EMPTY_BYTES} from '../../engine/lib/bytes.ts';
import {PROTO_DEPTH_MAX} from '../../engine/limits.ts';
import {ProtoError} from './proto-error.ts';

/** Two halves of a 64-bit number and the number itself; kvd runs on little-endian machines only. */
const HALVES = new Uint32Array(2);
const UNSIGNED = new BigUint64Array(HALVES.buffer);
const SIGNED = new BigInt64Array(HALVES.buffer);

const TWO_32 = 4294967296;
/** Below this length a loop over chars beats the call into the runtime's UTF-8 decoder. */
const SHORT_STRING = 24;

export class ProtoReader {
  /** The next byte; generated code compares it with the end of its message. */
  pos = 0;
  readonly #bytes: Buffer;
  readonly #length: number;
  /** The upper half of the last varint; the lower one is returned. */
  #high = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes);
    this.#length = bytes.length;
  }

  /** The low 32 bits of a varint: tags and 32-bit numbers. */
  uint32(): number {
    if (this.pos < this.#length) {
      const first = this.#bytes[this.pos];
      if (first < 0x80) {
        this.pos++;
        return first;
      }
    }
    return this.#varint();
  }

  /** Also enums, which are open: any number passes. */
  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    this.#high = 0;
    return (this.uint32() | this.#high) !== 0;
  }

  /** Rounded to a double beyond 2^53. */
  int64(): number {
    this.#high = 0;
    const low = this.uint32();
    return this.#high === 0 ? low : (this.#high | 0) * TWO_32 + low;
  }

  /** Rounded to a double beyond 2^53. */
  uint64(): number {
    this.#high = 0;
    const low = this.uint32();
    return this.#high === 0 ? low : this.#high * TWO_32 + low;
  }

  bigInt64(): bigint {
    this.#readHalves();
    return SIGNED[0];
  }

  bigUint64(): bigint {
    this.#readHalves();
    return UNSIGNED[0];
  }

  #readHalves(): void {
    this.#high = 0;
    HALVES[0] = this.uint32();
    HALVES[1] = this.#high;
  }

  /** Reads a length. @returns where what it measures ends; never past the end of the buffer */
  end(): number {
    this.#high = 0;
    const length = this.uint32();
    if (this.#high !== 0 || length > this.#length - this.pos) throw new ProtoError('length past the end');
    return this.pos + length;
  }

  /** A view of the input, not a copy. */
  bytes(): Uint8Array {
    const end = this.end();
    if (end === this.pos) return EMPTY_BYTES;
    const start = this.pos;
    this.pos = end;
    return this.#bytes.subarray(start, end);
  }

  string(): string {
    const end = this.end();
    const start = this.pos;
    this.pos = end;
    if (end - start <= SHORT_STRING) {
      let text = '';
      for (let i = start; i < end; i++) {
        const char = this.#bytes[i];
        if (char >= 0x80) return this.#bytes.toString('utf8', start, end);
        text += String.fromCharCode(char);
      }
      return text;
    }
    return this.#bytes.toString('utf8', start, end);
  }

  /** Passes over the value of a field that the message does not know, or not with this wire type. */
  skip(tag: number): void {
    if (tag >>> 3 === 0) throw new ProtoError('field number 0');
    switch (tag & 7) {
      case 0:
        this.uint32();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.pos = this.end();
        return;
      case 3:
        this.#skipGroup(tag >>> 3);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new ProtoError(`wire type ${tag & 7}`);
    }
  }

  /** Enters a message that may hold itself: a bound on recursion, not on size. */
  enter(): void {
    if (++this.#depth > PROTO_DEPTH_MAX) throw new ProtoError('nested too deep');
  }

  leave(): void {
    this.#depth--;
  }

  /** A message must end exactly where its length said. */
  close(end: number): void {
    if (this.pos !== end) throw new ProtoError('field past the end of its message');
  }

  #skipGroup(field: number): void {
    this.enter();
    for (;;) {
      const tag = this.uint32();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new ProtoError('group ends that was not begun');
        break;
      }
      this.skip(tag);
    }
    this.leave();
  }

  #advance(count: number): void {
    if (count > this.#length - this.pos) throw new ProtoError('cut short');
    this.pos += count;
  }

  #varint(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#high = 0;
        return low;
      }
    }
    let byte = this.#byte();
    low |= (byte & 0x7f) << 28;
    let high = (byte & 0x7f) >>> 4;
    for (let shift = 3; byte >= 0x80; shift += 7) {
      if (shift > 31) throw new ProtoError('varint of more than ten bytes');
      byte = this.#byte();
      high |= (byte & 0x7f) << shift;
    }
    this.#high = high >>> 0;
    return low >>> 0;
  }

  #byte(): number {
    if (this.pos >= this.#length) throw new ProtoError('cut short');
    return this.#bytes[this.pos++];
  }
}
