import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {
  ByteReader,
  DamagedBytesError,
  varint64Size,
  varintSize,
  writeVarint,
  writeVarint64,
} from '../../../src/engine/lib/varint.ts';

describe('varints', () => {
  it('Ensure that safe integers come back, in as few bytes as they need.', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.nat({max: 300})), (value) => {
        const bytes = Buffer.alloc(12);
        const size = writeVarint(bytes, 1, value) - 1;
        expect(size).toBe(varintSize(value));
        const reader = new ByteReader(bytes.subarray(1, 1 + size));
        expect([reader.varint(), reader.remaining]).toEqual([value, 0]);
        expect(new ByteReader(bytes.subarray(1, 1 + size)).varint64()).toBe(BigInt(value));
      }),
    );
  });

  it('Ensure that 64-bit numbers come back, signed ones in ten bytes.', () => {
    fc.assert(
      fc.property(fc.bigInt({min: -(2n ** 63n), max: 2n ** 63n - 1n}), (value) => {
        const bytes = Buffer.alloc(10);
        const size = writeVarint64(bytes, 0, value);
        expect(size).toBe(varint64Size(value));
        expect(BigInt.asIntN(64, new ByteReader(bytes.subarray(0, size)).varint64())).toBe(value);
        if (value < 0n) expect(size).toBe(10);
      }),
    );
  });

  it('Ensure that what is cut short, too long or too large is damage.', () => {
    const endless = Buffer.alloc(20, 0xff);
    expect(() => new ByteReader(endless).varint()).toThrow(DamagedBytesError);
    expect(() => new ByteReader(endless).varint64()).toThrow(DamagedBytesError);
    expect(() => new ByteReader(Buffer.from([0x80])).varint()).toThrow(DamagedBytesError);
    expect(() => new ByteReader(Buffer.from([5, 1])).prefixed()).toThrow(DamagedBytesError);
    expect(() => new ByteReader(Buffer.alloc(7)).uint64()).toThrow(DamagedBytesError);
    expect(() => new ByteReader(Buffer.from([1])).skipField(3)).toThrow(DamagedBytesError);
  });
});
