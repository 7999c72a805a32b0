/**
 * Protobuf's variable-length integers and a bounded reader. A reader never trusts a length: whatever runs past
 * the end is a {@link DamagedBytesError}, before anything is allocated for it.
 */

export class DamagedBytesError extends Error {
  readonly offset: number;

  constructor(detail: string, offset: number) {
    super(`${detail} at byte ${offset}`);
    this.name = 'DamagedBytesError';
    this.offset = offset;
  }
}

/** Bytes of a safe integer from 0. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 5;
  for (let rest = Math.floor(value / 0x800000000); rest > 0; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes a safe integer from 0. @returns the position behind it */
export function writeVarint(target: Uint8Array, position: number, value: number): number {
  let at = position;
  let rest = value;
  while (rest > 0x7fffffff) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** Bytes of an int64 or uint64; a negative number takes ten. */
export function varint64Size(value: bigint): number {
  let size = 1;
  for (let rest = BigInt.asUintN(64, value) >> 7n; rest > 0n; rest >>= 7n) size++;
  return size;
}

/** Writes an int64 (two's complement) or uint64. @returns the position behind it */
export function writeVarint64(target: Uint8Array, position: number, value: bigint): number {
  let at = position;
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    target[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  target[at++] = Number(rest);
  return at;
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #view: DataView | undefined;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.position;
  }

  byte(): number {
    this.#need(1);
    return this.#bytes[this.position++];
  }

  /** A safe integer from 0; anything larger is damage. */
  varint(): number {
    const bytes = this.#bytes;
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    while (byte >= 0x80) {
      if (this.position >= bytes.length) throw new DamagedBytesError('number cut short', this.position);
      byte = bytes[this.position++];
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (value > Number.MAX_SAFE_INTEGER) throw new DamagedBytesError('number too large', this.position);
      if (scale > 2 ** 63) throw new DamagedBytesError('number too long', this.position);
    }
    return value;
  }

  /** An unsigned 64-bit number; `BigInt.asIntN(64, …)` makes it signed. */
  varint64(): bigint {
    let low = 0;
    let value = 0n;
    let shift = 0;
    for (;;) {
      const byte = this.byte();
      if (shift >= 28) value |= BigInt(byte & 0x7f) << BigInt(shift);
      else low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value | BigInt(low));
      shift += 7;
      if (shift > 63) throw new DamagedBytesError('number too long', this.position);
    }
  }

  /** A view of the next bytes, not a copy. */
  bytes(length: number): Uint8Array {
    this.#need(length);
    const start = this.position;
    this.position = start + length;
    return this.#bytes.subarray(start, this.position);
  }

  /** Bytes behind their length. */
  prefixed(): Uint8Array {
    return this.bytes(this.varint());
  }

  float64(): number {
    this.#need(8);
    const value = this.#dataView().getFloat64(this.position);
    this.position += 8;
    return value;
  }

  uint64(): bigint {
    this.#need(8);
    const value = this.#dataView().getBigUint64(this.position);
    this.position += 8;
    return value;
  }

  /** Steps over a protobuf field of this wire type. */
  skipField(wireType: number): void {
    if (wireType === 0) this.varint64();
    else if (wireType === 1) this.bytes(8);
    else if (wireType === 2) this.prefixed();
    else if (wireType === 5) this.bytes(4);
    else throw new DamagedBytesError(`unknown wire type ${wireType}`, this.position);
  }

  #need(length: number): void {
    if (length > this.#bytes.length - this.position) {
      throw new DamagedBytesError('bytes cut short', this.position);
    }
  }

  #dataView(): DataView {
    const {buffer, byteOffset, byteLength} = this.#bytes;
    this.#view ??= new DataView(buffer, byteOffset, byteLength);
    return this.#view;
  }
}
