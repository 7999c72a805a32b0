/** What two JSON texts have in common: newer versions add fields, but what both have must be equal. */

/** Both texts with nothing but the fields that both have; undefined when one of them is no JSON. */
export function commonFields(first: string, second: string): [first: string, second: string] | undefined {
  const values = [parse(first), parse(second)];
  if (values.some((value) => value === undefined)) return undefined;
  const [a, b] = values;
  return [JSON.stringify(only(a, b), null, 1), JSON.stringify(only(b, a), null, 1)];
}

/** Names that stand for ids are made strings. */
function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text.replace(/([:,[])(<[^<>]+>)/g, '$1"$2"'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** `value` without the fields that `other` lacks, at any depth. */
function only(value: unknown, other: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(other)) {
    return value.map((one, n) => (n < other.length ? only(one, other[n]) : one));
  }
  if (!isObject(value) || !isObject(other)) return value;
  const names = Object.keys(value).filter((name) => name in other);
  return Object.fromEntries(names.sort().map((name) => [name, only(value[name], other[name])]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
