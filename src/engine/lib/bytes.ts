/** Byte strings: comparing, joining, and the two conversions that hot paths use. Pure. */

export const EMPTY_BYTES: Uint8Array = Buffer.alloc(0);

/** A `Buffer` over the same memory: `Buffer` methods (compare, latin1Slice) without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Lexicographic order of unsigned bytes: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** One char per byte (U+0000 to U+00FF). The strings' order is the bytes' order, so they serve as sorted keys. */
export function toLatin1(bytes: Uint8Array): string {
  return (asBuffer(bytes) as Latin1Buffer).latin1Slice(0, bytes.length);
}

/** Behind `toString('latin1')`, without the search for the encoding's name; Node's types leave it out. */
type Latin1Buffer = Buffer & {latin1Slice(start: number, end: number): string};

/** The inverse of {@link toLatin1}. */
export function fromLatin1(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** A copy that shares memory with nobody. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** The same bytes without the large memory that they may be a small part of: what is kept for long must not hold it. */
export function compactBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length * 4 < bytes.buffer.byteLength ? copyBytes(bytes) : bytes;
}

/** Appends the one byte that makes the smallest larger string: the exclusive end of "this key alone". */
export function successor(key: Uint8Array): Uint8Array {
  const end = Buffer.allocUnsafeSlow(key.length + 1);
  end.set(key);
  end[key.length] = 0;
  return end;
}

/**
 * The exclusive end of all keys with this prefix, as etcd's clients compute it: the last byte below 0xff is
 * raised by one. A prefix of nothing but 0xff (or nothing) has no end: a single 0 byte, "to the end of keys".
 */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i] < 0xff) {
      const end = Buffer.from(prefix.subarray(0, i + 1));
      end[i] += 1;
      return end;
    }
  }
  return Buffer.from([0]);
}
