/** The API's messages: every request and every answer. */

import fc from 'fast-check';
import {goJson} from '../../src/commands/_shared/go-json.ts';
import {messageJson} from '../../src/commands/_shared/message-json.ts';
import type {FieldInfo} from '../../src/transport/proto/field-info.ts';
import {MESSAGE_FIELDS} from '../../src/transport/proto/generated/fields.ts';
import {ProtoError} from '../../src/transport/proto/proto-error.ts';
import {ProtoReader} from '../../src/transport/proto/proto-reader.ts';
import {generatedModules} from '../unit/proto/generated-modules.ts';
import {type FuzzTarget, promise, promiseSame} from './fuzz-target.ts';
import {oneOf} from './mutate.ts';
import {mutatedMessage} from './mutate-proto.ts';

interface Codec {
  readonly type: string;
  readonly name: string;
  readonly encode: (message: object) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => object;
}

const modules = Object.values(generatedModules);

/** Without the package; types within types stand behind each other. */
const nameOf = (type: string): string => type.replace(/^(?:[a-z][a-z0-9]*\.)+/, '').replaceAll('.', '');

/** Every type that has both directions, by its full name. */
const CODECS: readonly Codec[] = Object.keys(MESSAGE_FIELDS).flatMap((type) => {
  const name = nameOf(type);
  const module = modules.find((one) => `decode${name}` in one && `encode${name}` in one);
  if (module === undefined) return [];
  const encode = module[`encode${name}`] as Codec['encode'];
  return [{type, name, encode, decode: module[`decode${name}`] as Codec['decode']}];
});

/** Which of number and bigint a field is made of, by the decoder's own word. */
function emptyOf(type: string): Record<string, unknown> {
  const reader = `read${nameOf(type)}`;
  const read = modules.find((one) => reader in one)?.[reader];
  if (typeof read !== 'function') throw new Error(`nothing reads ${type}`);
  return read(new ProtoReader(Buffer.alloc(0)), 0);
}

function arbitraryOf(type: string, depth: number): fc.Arbitrary<object> {
  const empty = emptyOf(type);
  const fields = (MESSAGE_FIELDS[type] ?? []).map((field): [string, fc.Arbitrary<unknown>] => {
    const isBig = typeof empty[field.name] === 'bigint';
    const one = fieldValue(field, isBig, depth);
    return [field.name, field.repeated ? fc.array(one, {maxLength: 3}) : fc.option(one, {nil: undefined})];
  });
  return fc.record(Object.fromEntries(fields)).map((message) => withOneOfEach(type, message));
}

function fieldValue({kind, type}: FieldInfo, isBig: boolean, depth: number): fc.Arbitrary<unknown> {
  switch (kind) {
    case 'bytes':
      return fc.uint8Array({maxLength: 20}).map((bytes) => Buffer.from(bytes));
    case 'string':
      return fc.string({maxLength: 30, unit: 'grapheme'});
    case 'bool':
      return fc.boolean();
    case 'int64':
    case 'uint64':
      return isBig ? fc.bigInt({min: 0n, max: 2n ** 63n - 1n}) : fc.maxSafeNat();
    case 'message': {
      if (depth > 3) return fc.constant(undefined);
      return arbitraryOf(type ?? '', depth + 1);
    }
    default:
      return fc.nat({max: 9});
  }
}

/** Of a oneof one field is set; lists of what is too deep are empty. */
function withOneOfEach(type: string, message: Record<string, unknown>): object {
  const seen = new Set<string>();
  for (const {name, oneof} of MESSAGE_FIELDS[type] ?? []) {
    const value = message[name];
    if (Array.isArray(value)) message[name] = value.filter((item) => item !== undefined);
    if (oneof === undefined || value === undefined) continue;
    if (seen.has(oneof)) message[name] = undefined;
    seen.add(oneof);
  }
  return message;
}

/** The first byte says which type it is: a sample of each is first of all read as what it is. */
const SAMPLES = CODECS.flatMap((codec, number) => {
  const messages = fc.sample(arbitraryOf(codec.type, 0), {numRuns: 3, seed: 1});
  return messages.map((message) => Buffer.concat([Buffer.from([number]), codec.encode(message)]));
});

export const PROTO_TARGET: FuzzTarget = {
  name: 'protobuf',
  samples: SAMPLES,
  malform: (random) => {
    const sample = oneOf(random, SAMPLES);
    const others = random.below(4) === 0 ? SAMPLES : SAMPLES.filter(([number]) => number === sample[0]);
    return Buffer.concat([
      sample.subarray(0, 1),
      mutatedMessage(
        random,
        others.map((bytes) => bytes.subarray(1)),
      ),
    ]);
  },
  run: (bytes) => {
    const {type, decode, encode} = CODECS[(bytes[0] ?? 0) % CODECS.length];
    const message = decode(bytes.subarray(1));
    const written = Buffer.from(encode(message));
    promiseSame(Buffer.from(encode(decode(written))), written);
    promise(written.length <= 2 * bytes.length + 64, 'what is read is not much more than what came');
    // What commands print of it.
    promise(typeof JSON.parse(goJson(messageJson(type, message))) === 'object', 'it is shown as JSON');
  },
  isRefusal: (error) => error instanceof ProtoError,
};
