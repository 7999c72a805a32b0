/**
 * JSON as Go's encoder writes it: bigints are bare numbers, bytes are base64, `<`, `>` and `&` are escaped, keys
 * stand in the order of the object, undefined ones are left out. Pure.
 */

export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly JsonValue[]
  | {readonly [key: string]: JsonValue};

const ESCAPED: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
  '\\b': '\\u0008',
  '\\f': '\\u000c',
};

export function goJson(value: JsonValue): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value).toString() : String(value);
  if (value === null || value === undefined) return 'null';
  if (value instanceof Uint8Array) {
    return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`;
  }
  if (isList(value)) return `[${value.map(goJson).join(',')}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([key, field]) => `${quote(key)}:${goJson(field)}`).join(',')}}`;
}

function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/\\\\|\\b|\\f|[<>&\u2028\u2029]/g, (found) => ESCAPED[found] ?? found);
}

/** The value, or undefined where Go's `omitempty` leaves the field out. */
export function unlessEmpty<Value extends JsonValue>(value: Value): Value | undefined {
  if (value === 0 || value === 0n || value === false || value === '' || value === null) return undefined;
  return (value instanceof Uint8Array || Array.isArray(value)) && value.length === 0 ? undefined : value;
}
