/** Plain data that is nearly right, and its text as JSON: for formats that hold objects, lists, numbers and texts. */

import type {SeededRandom} from '../simulator/seeded-random.ts';
import {noise, oneOf} from './mutate.ts';

const NUMBERS = [0, -0, 1, -1, 0.5, 255, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 1e308, 1e-7];
const BIG_NUMBERS = [0n, 1n, -1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 10n ** 40n];
const TEXTS = [
  '',
  'x',
  '0',
  '-1',
  '__proto__',
  'a,b',
  '\0',
  'ÿ',
  '\ud800',
  'ffffffffffffffff',
  '1'.repeat(40),
];
const CHANGES_MAX = 3;
const DEPTHS = [3, 100, 20_000];
const COUNTS = [2, 1_000];

/** @param value is not changed */
export function mutatedValue(random: SeededRandom, value: unknown): unknown {
  let result = value;
  for (let n = random.below(CHANGES_MAX); n >= 0; n--) {
    const nodes = nodesOf(result);
    const chosen = random.below(nodes.length);
    result = replaced(result, nodes[chosen], () => otherThan(random, nodes[chosen].value, nodes));
  }
  return result;
}

interface Node {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

const NODES_MAX = 400;

function nodesOf(value: unknown): Node[] {
  const nodes: Node[] = [{path: [], value}];
  for (let i = 0; i < nodes.length && nodes.length < NODES_MAX; i++) {
    const {path, value: parent} = nodes[i];
    if (!isContainer(parent)) continue;
    for (const [key, child] of Object.entries(parent)) nodes.push({path: [...path, key], value: child});
  }
  return nodes;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

/** A copy in which another value stands at the node. */
function replaced(value: unknown, {path}: Node, other: () => unknown): unknown {
  if (path.length === 0) return other();
  const [first, ...rest] = path;
  const copy = Array.isArray(value) ? [...value] : {...(value as object)};
  const child = (value as Record<string, unknown>)[first];
  (copy as Record<string, unknown>)[first] = replaced(child, {path: rest, value: undefined}, other);
  return copy;
}

function otherThan(random: SeededRandom, value: unknown, nodes: readonly Node[]): unknown {
  const scalars: (() => unknown)[] = [
    () => oneOf(random, NUMBERS),
    () => oneOf(random, BIG_NUMBERS),
    () => oneOf(random, TEXTS),
    () => oneOf(random, [null, true, false, undefined, [], {}]),
    () => oneOf(random, nodes).value,
    () => noise(random, random.below(40)),
    () => ({toString: 1, valueOf: 'x'}),
    () => deep(random, oneOf(random, DEPTHS)),
    () => Array.from({length: oneOf(random, COUNTS)}, () => value),
  ];
  const isRare = random.below(3) > 0;
  if (isRare && typeof value === 'number') return value + oneOf(random, [-1, 1, 0.5, 2 ** 32]);
  if (isRare && typeof value === 'bigint') return value + oneOf(random, [-1n, 1n, 2n ** 64n, -(2n ** 64n)]);
  if (isRare && typeof value === 'string') return changedText(random, value);
  if (isRare && Array.isArray(value)) return changedList(random, value);
  if (isRare && isContainer(value)) return changedObject(random, value as Record<string, unknown>, nodes);
  return oneOf(random, scalars)();
}

function deep(random: SeededRandom, depth: number): unknown {
  const isList = random.below(2) === 0;
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = isList ? [value] : {a: value};
  return value;
}

export function changedText(random: SeededRandom, text: string): string {
  const at = random.below(text.length + 1);
  switch (random.below(5)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + oneOf(random, TEXTS) + text.slice(at);
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(0x180)) + text.slice(at + 1);
    default:
      return text + text.slice(at);
  }
}

function changedList(random: SeededRandom, list: readonly unknown[]): unknown[] {
  const at = random.below(list.length + 1);
  const other = list.length === 0 ? 0 : random.below(list.length);
  switch (random.below(4)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(at, 0, list[other]);
    case 2:
      return list.toReversed();
    default:
      return list.slice(0, at);
  }
}

function changedObject(
  random: SeededRandom,
  object: Record<string, unknown>,
  nodes: readonly Node[],
): Record<string, unknown> {
  const entries = Object.entries(object);
  const at = random.below(entries.length + 1);
  const name = random.below(2) === 0 ? oneOf(random, TEXTS) : (entries[at]?.[0] ?? 'new');
  switch (random.below(3)) {
    case 0:
      return Object.fromEntries(entries.toSpliced(at, 1));
    case 1:
      return Object.fromEntries(entries.toSpliced(at, 1, [name, entries[at]?.[1]]));
    default:
      return Object.fromEntries(entries.toSpliced(at, 0, [name, oneOf(random, nodes).value]));
  }
}

/** As `JSON.stringify`, but a bigint is a bare number of any length, and no depth is too large. */
export function jsonText(value: unknown): string {
  const parts: string[] = [];
  const open: {readonly end: string; readonly left: [string, unknown][]}[] = [];
  let next: unknown = value;
  for (;;) {
    if (isContainer(next)) {
      const isList = Array.isArray(next);
      const left = Object.entries(next).map(([key, child], i): [string, unknown] => {
        return [`${i === 0 ? '' : ','}${isList ? '' : `${JSON.stringify(key)}:`}`, child];
      });
      parts.push(isList ? '[' : '{');
      open.push({end: isList ? ']' : '}', left: left.reverse()});
    } else parts.push(scalarText(next));
    while (open.at(-1)?.left.length === 0) parts.push(open.pop()?.end ?? '');
    const child = open.at(-1)?.left.pop();
    if (child === undefined) return parts.join('');
    parts.push(child[0]);
    next = child[1];
  }
}

function scalarText(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value;
  return JSON.stringify(text) ?? 'null';
}
