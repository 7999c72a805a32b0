/** Questions to data that others made (parsed JSON, values that a peer packed): nothing of it is believed unasked. Pure. */

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** A whole number from 0 that is exact. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** An unsigned number of 64 bits. */
export function isUint64(value: unknown): value is bigint {
  return typeof value === 'bigint' && value === BigInt.asUintN(64, value);
}

/** The number that {@link hex64} wrote; undefined: it wrote something else. */
export function parseHex64(text: unknown): bigint | undefined {
  return typeof text === 'string' && /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}
