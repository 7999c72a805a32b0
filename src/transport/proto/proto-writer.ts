/**
 * Builds messages from their end to their beginning: when a field's tag is written, the length of its value is
 * already known, so that one pass without a sizing pass suffices. Fields come out in ascending order because
 * generated code writes them in descending order.
 *
 * Finished messages are views of a slab that the writer goes on filling below them: no copy, and the slab is
 * collected when its last message is. A large message gets a slab of its own.
 */

const SLAB_BYTES = 64 * 1024;
/** A message beyond this leaves with its slab, so that it does not keep small ones alive, nor they it. */
const SHARED_BYTES_MAX = 16 * 1024;
/** A slab with less room than this is not worth a message that would only outgrow it. */
const ROOM_BYTES_MIN = 512;

const TWO_32 = 4294967296;
const INT64_LIMIT = 2 ** 63;
const UINT64_LIMIT = 2 ** 64;
/** Up to this length a loop beats the call into the runtime. */
const SHORT_BYTES = 24;

const HALVES = new Uint32Array(2);
const UNSIGNED = new BigUint64Array(HALVES.buffer);

class ProtoWriter {
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the message ends in the slab, and where its first byte so far lies. */
  #end = SLAB_BYTES;
  #pos = SLAB_BYTES;

  begin(): void {
    if (this.#pos < ROOM_BYTES_MIN) this.#renew(SLAB_BYTES);
    this.#end = this.#pos;
  }

  finish(): Buffer {
    const message = this.#slab.subarray(this.#pos, this.#end);
    if (message.length > SHARED_BYTES_MAX) this.#renew(SLAB_BYTES);
    return message;
  }

  /** Bytes of the message so far: taken before a nested value, given to {@link prefix} after it. */
  get size(): number {
    return this.#end - this.#pos;
  }

  /** Puts the length of everything since `size` was taken in front of it. */
  prefix(size: number): void {
    this.uint32(this.#end - this.#pos - size);
  }

  /** Makes room at once for what is known to come, instead of growing step by step. */
  reserve(bytes: number): void {
    if (this.#pos < bytes) this.#grow(bytes);
  }

  uint32(value: number): void {
    if (value >>> 0 < 0x80) {
      if (this.#pos < 1) this.#grow(1);
      this.#slab[--this.#pos] = value;
    } else {
      this.#halves(value >>> 0, 0);
    }
  }

  int32(value: number): void {
    if (value >= 0) this.uint32(value);
    else this.#halves(value >>> 0, 0xffffffff);
  }

  bool(value: boolean): void {
    this.uint32(value ? 1 : 0);
  }

  /** Numbers beyond the type's range become its largest: 2^63 is what the largest int64 reads as. */
  int64(value: number): void {
    if (value >= INT64_LIMIT) this.#halves(0xffffffff, 0x7fffffff);
    else this.#whole(value);
  }

  uint64(value: number): void {
    if (value >= UINT64_LIMIT) this.#halves(0xffffffff, 0xffffffff);
    else this.#whole(value);
  }

  /** Signed or unsigned: the low 64 bits. */
  big(value: bigint): void {
    UNSIGNED[0] = value;
    this.#halves(HALVES[0], HALVES[1]);
  }

  /** With its length in front. */
  bytes(value: Uint8Array): void {
    this.raw(value);
    this.uint32(value.length);
  }

  raw(value: Uint8Array): void {
    const length = value.length;
    if (this.#pos < length) this.#grow(length);
    const start = this.#pos - length;
    if (length <= SHORT_BYTES) {
      for (let i = 0; i < length; i++) this.#slab[start + i] = value[i];
    } else {
      this.#slab.set(value, start);
    }
    this.#pos = start;
  }

  /** UTF-8 with its length in front. */
  string(value: string): void {
    if (value.length > SHORT_BYTES || !this.#shortAscii(value)) {
      const length = Buffer.byteLength(value);
      if (this.#pos < length) this.#grow(length);
      this.#pos -= length;
      this.#slab.write(value, this.#pos, length, 'utf8');
      this.uint32(length);
    }
  }

  #shortAscii(value: string): boolean {
    const length = value.length;
    if (this.#pos < length) this.#grow(length);
    const start = this.#pos - length;
    for (let i = 0; i < length; i++) {
      const char = value.charCodeAt(i);
      if (char >= 0x80) return false;
      this.#slab[start + i] = char;
    }
    this.#pos = start;
    this.uint32(length);
    return true;
  }

  #whole(value: number): void {
    if (value >= 0 && value < TWO_32) {
      this.uint32(value);
      return;
    }
    const high = Math.floor(value / TWO_32);
    this.#halves((value - high * TWO_32) >>> 0, high >>> 0);
  }

  #halves(low: number, high: number): void {
    if (this.#pos < 10) this.#grow(10);
    const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
    const count = bits === 0 ? 1 : Math.ceil(bits / 7);
    const slab = this.#slab;
    let at = this.#pos - count;
    this.#pos = at;
    for (let left = count; left > 1; left--) {
      slab[at++] = (low & 0x7f) | 0x80;
      low = (low >>> 7) | (high << 25);
      high >>>= 7;
    }
    slab[at] = low & 0x7f;
  }

  #grow(bytes: number): void {
    const written = this.#slab.subarray(this.#pos, this.#end);
    // Doubling what is there keeps the copies below the message's size; the reserve of a list comes in one piece.
    this.#renew(Math.max(SLAB_BYTES, written.length * 2 + bytes + ROOM_BYTES_MIN));
    this.#pos -= written.length;
    this.#slab.set(written, this.#pos);
  }

  #renew(bytes: number): void {
    this.#slab = Buffer.allocUnsafeSlow(bytes);
    this.#end = bytes;
    this.#pos = bytes;
  }
}

export type {ProtoWriter};

/** Encoding never yields, so one writer serves all. */
export const protoWriter = new ProtoWriter();

/** An upper bound for what a list of key-values needs; see {@link ProtoWriter.reserve}. */
export function keyValueBytes(
  list: readonly {
    readonly key?: Uint8Array | undefined;
    readonly value?: Uint8Array | undefined;
    readonly encoded?: Uint8Array | undefined;
  }[],
): number {
  // Six tags, two lengths of at most five bytes, four varints of at most ten; tag and length of the whole.
  const overhead = 64;
  let total = 0;
  for (const kv of list) {
    total += overhead + (kv.encoded?.length ?? (kv.key?.length ?? 0) + (kv.value?.length ?? 0));
  }
  return total;
}
