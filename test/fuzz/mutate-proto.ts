/** Protobuf messages that are nearly right: fields dropped, doubled, moved, nested, of other types; lengths mended. */

import {varintSize, writeVarint} from '../../src/engine/lib/varint.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {changedInPlace, noise, oneOf} from './mutate.ts';

interface Field {
  /** Field number and wire type. */
  readonly tag: number;
  /** Behind the tag; of wire type 2 without its length. */
  readonly content: Buffer;
}

const NUMBERS = [
  '00',
  '01',
  '7f',
  '8000',
  'ffffffff07',
  'ffffffff0f',
  'ffffffffffffff7f',
  `${'ff'.repeat(9)}01`,
];
const DEPTHS = [2, 50, 150, 30_000];
const CHANGES_MAX = 4;

/** @param samples messages of one type or of several */
export function mutatedMessage(random: SeededRandom, samples: readonly Uint8Array[]): Buffer {
  let fields = fieldsOf(Buffer.from(oneOf(random, samples)));
  for (let n = random.below(CHANGES_MAX); n >= 0; n--) fields = changed(random, fields, samples, 0);
  return joined(fields);
}

function varint(value: number): Buffer {
  const bytes = Buffer.alloc(varintSize(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

/** As far as the bytes are fields; the rest is dropped. */
function fieldsOf(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const number = (): number | undefined => {
    let value = 0;
    for (let shift = 0; shift < 28 && at < bytes.length; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = number();
    if (tag === undefined) break;
    const from = at;
    const wire = tag & 7;
    if (wire === 0) while (at < bytes.length && bytes[at++] >= 0x80);
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = number();
      if (length === undefined || at + length > bytes.length) break;
      fields.push({tag, content: bytes.subarray(at, at + length)});
      at += length;
      continue;
    } else break;
    fields.push({tag, content: bytes.subarray(from, at)});
  }
  return fields;
}

function joined(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(({tag, content}) => [
      varint(tag),
      ...((tag & 7) === 2 ? [varint(content.length)] : []),
      content,
    ]),
  );
}

function changed(
  random: SeededRandom,
  fields: readonly Field[],
  samples: readonly Uint8Array[],
  depth: number,
): Field[] {
  if (fields.length === 0)
    return [{tag: (random.below(20) << 3) | random.below(6), content: noise(random, 4)}];
  const at = random.below(fields.length);
  const field = fields[at];
  const {tag, content} = field;
  const instead = (...others: Field[]) => fields.toSpliced(at, 1, ...others);
  switch (random.below(10)) {
    case 0:
      return instead();
    case 1:
      return instead(field, field);
    case 2:
      return [...fields.toSpliced(at, 1), field];
    case 3:
      return instead({tag: (random.below(40) << 3) | random.below(8), content});
    case 4:
      return instead({
        tag,
        content: (tag & 7) === 0 ? Buffer.from(oneOf(random, NUMBERS), 'hex') : Buffer.alloc(0),
      });
    case 5: {
      const others = fieldsOf(Buffer.from(oneOf(random, samples)));
      return others.length === 0 ? [...fields] : instead(field, oneOf(random, others));
    }
    case 6:
      return instead(nested(field, oneOf(random, DEPTHS)));
    case 7:
      // A length that is wrong stays wrong: the field's bytes are given as those of a number.
      return instead({
        tag: tag & ~7,
        content: Buffer.concat([Buffer.from(oneOf(random, NUMBERS), 'hex'), content]),
      });
    case 8:
      return instead({tag, content: changedInPlace(random, Buffer.from(content))});
    default: {
      const inner = (tag & 7) === 2 && depth < 6 ? fieldsOf(content) : [];
      if (inner.length === 0) return instead({tag, content: changedInPlace(random, Buffer.from(content))});
      return instead({tag, content: joined(changed(random, inner, samples, depth + 1))});
    }
  }
}

/** The field within itself, or groups within groups. */
function nested({tag, content}: Field, depth: number): Field {
  if ((tag & 7) !== 2) {
    const number = tag & ~7;
    const begin = Buffer.alloc(depth, varint(number | 3));
    return {tag: number | 3, content: Buffer.concat([begin, Buffer.alloc(depth, varint(number | 4))])};
  }
  let inner = content;
  for (let n = 0; n < Math.min(depth, 200); n++) inner = joined([{tag, content: inner}]);
  return {tag, content: inner};
}
