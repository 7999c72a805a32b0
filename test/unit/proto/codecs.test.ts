/** The generated codecs against protobufjs: every message, both directions, and bytes that are no message. */

import {basename, join, resolve} from 'node:path';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import {describe, expect, it} from 'vitest';
import {ENUM_NAMES, MESSAGE_FIELDS} from '../../../src/transport/proto/generated/fields.ts';
import * as kv from '../../../src/transport/proto/generated/kv.ts';
import * as lease from '../../../src/transport/proto/generated/lease.ts';
import * as mvcc from '../../../src/transport/proto/generated/mvcc.ts';
import * as watch from '../../../src/transport/proto/generated/watch.ts';
import {ProtoError} from '../../../src/transport/proto/proto-error.ts';
import {generatedModules} from './generated-modules.ts';

/** protobufjs's types know its 64-bit numbers, but not how one is made. */
const Long = protobuf.util.Long as unknown as {fromString(text: string, unsigned: boolean): unknown};

type Json = Record<string, unknown>;

const folder = resolve(import.meta.dirname, '../../../src/transport/proto');

const root = new protobuf.Root();
root.resolvePath = (_origin, name) => join(folder, basename(name));
root.loadSync(
  Object.keys(generatedModules).map((name) => `${name}.proto`),
  {keepCase: true},
);
root.resolveAll();

interface Subject {
  readonly oracle: protobuf.Type;
  readonly encode: (message: Json) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Json;
}

const subjects: Subject[] = [];
function gather(namespace: protobuf.NamespaceBase, prefix: string): void {
  for (const child of namespace.nestedArray) {
    if (child instanceof protobuf.Type) {
      const module = generatedModules[basename(child.filename ?? '', '.proto')];
      const name = prefix + child.name;
      subjects.push({
        oracle: child,
        encode: module[`encode${name}`] as Subject['encode'],
        decode: module[`decode${name}`] as Subject['decode'],
      });
      gather(child, name);
    } else if (child instanceof protobuf.Namespace) {
      gather(child, '');
    }
  }
}
gather(root, '');

const propertyName = (field: protobuf.Field) =>
  field.name.replace(/_(.)/g, (_all, char: string) => char.toUpperCase());
const isNumber = (field: protobuf.Field) => field.options?.jstype === 'JS_NUMBER';

const signed64 = fc.oneof(fc.bigInt({min: -(2n ** 63n), max: 2n ** 63n - 1n}), fc.constantFrom(0n, 1n, -1n));
const unsigned64 = fc.oneof(fc.bigInt({min: 0n, max: 2n ** 64n - 1n}), fc.constantFrom(0n, 127n, 128n));
const bytes = fc.oneof(fc.uint8Array({maxLength: 40}), fc.constant(new Uint8Array(200).fill(7)));
const text = fc.oneof(
  fc.string({maxLength: 40}),
  fc.string({unit: 'binary', maxLength: 60}),
  fc.constant('é'),
);

function scalarArbitrary(field: protobuf.Field): fc.Arbitrary<unknown> {
  switch (field.type) {
    case 'bytes':
      return bytes.map((value) => Buffer.from(value));
    case 'string':
      return text;
    case 'bool':
      return fc.boolean();
    case 'uint32':
      return fc.nat({max: 0xffffffff});
    case 'int64':
      return isNumber(field) ? fc.oneof(fc.maxSafeInteger(), fc.nat({max: 300})) : signed64;
    case 'uint64':
      return isNumber(field) ? fc.oneof(fc.maxSafeNat(), fc.nat({max: 300})) : unsigned64;
    default:
      // Enums are open.
      return fc.oneof(fc.nat({max: 5}), fc.integer());
  }
}

/** Messages as our decoder would give them: every field there, of a oneof at most one. */
function messageArbitrary(type: protobuf.Type, depth: number): fc.Arbitrary<Json> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    const isMessage = field.resolvedType instanceof protobuf.Type;
    if (isMessage && depth === 0) {
      members[propertyName(field)] = fc.constant(field.repeated ? [] : undefined);
      continue;
    }
    const one = isMessage
      ? messageArbitrary(field.resolvedType as protobuf.Type, depth - 1)
      : scalarArbitrary(field);
    if (field.repeated) members[propertyName(field)] = fc.array(one, {maxLength: 4});
    else if (isMessage || field.partOf) members[propertyName(field)] = fc.option(one, {nil: undefined});
    else members[propertyName(field)] = one;
  }
  const oneofs = type.oneofsArray.map(({fieldsArray}) => fieldsArray.map(propertyName));
  return fc.tuple(fc.record(members), fc.nat()).map(([message, pick]) => {
    for (const names of oneofs) {
      const present = names.filter((name) => message[name] !== undefined);
      for (const name of present) {
        if (name !== present[pick % present.length]) message[name] = undefined;
      }
    }
    return message;
  });
}

/** Ours → protobufjs's input. */
function toOracle(type: protobuf.Type, message: Json): Json {
  const out: Json = {};
  for (const field of type.fieldsArray) {
    const value = message[propertyName(field)];
    if (value === undefined) continue;
    const convert = (one: unknown): unknown => {
      if (field.resolvedType instanceof protobuf.Type) return toOracle(field.resolvedType, one as Json);
      if (field.type === 'int64' || field.type === 'uint64') {
        return Long.fromString(String(one), field.type === 'uint64');
      }
      return one;
    };
    out[field.name] = field.repeated ? (value as unknown[]).map(convert) : convert(value);
  }
  return out;
}

/** protobufjs's output → ours. */
function fromOracle(type: protobuf.Type, message: Json): Json {
  const out: Json = {};
  for (const field of type.fieldsArray) {
    const convert = (one: unknown): unknown => {
      if (field.resolvedType instanceof protobuf.Type) return fromOracle(field.resolvedType, one as Json);
      if (field.type === 'bytes') return Buffer.from(one as Uint8Array);
      if (field.type !== 'int64' && field.type !== 'uint64') return one;
      return isNumber(field) ? Number(String(one)) : BigInt(String(one));
    };
    const isSet = Object.hasOwn(message, field.name) && message[field.name] !== null;
    if (field.repeated) out[propertyName(field)] = (message[field.name] as unknown[]).map(convert);
    else if (isSet || !(field.partOf || field.resolvedType instanceof protobuf.Type)) {
      out[propertyName(field)] = convert(message[field.name]);
    } else out[propertyName(field)] = undefined;
  }
  return out;
}

describe('proto codecs', () => {
  it('Ensure that every message has both codecs.', () => {
    expect(subjects.length).toBeGreaterThan(90);
    for (const {oracle, encode, decode} of subjects) {
      expect([oracle.fullName, typeof encode, typeof decode]).toEqual([
        oracle.fullName,
        'function',
        'function',
      ]);
    }
  });

  it.each(subjects.map((subject) => [subject.oracle.fullName.slice(1), subject] as const))(
    'Ensure that %s is read and written as protobufjs does.',
    (_name, {oracle, encode, decode}) => {
      fc.assert(
        fc.property(messageArbitrary(oracle, 3), (message) => {
          const ours = encode(message);
          expect(fromOracle(oracle, oracle.decode(ours) as unknown as Json)).toEqual(message);
          const theirs = oracle.encode(toOracle(oracle, message)).finish();
          expect(decode(theirs)).toEqual(message);
          expect(decode(ours)).toEqual(message);
        }),
        {numRuns: 25},
      );
    },
  );

  it('Ensure that any bytes give a message or a ProtoError, nothing else.', () => {
    const {decodeTxnRequest, encodeTxnRequest} = kv;
    const whole = encodeTxnRequest({
      compare: [{key: Buffer.from('k'), modRevision: 300, rangeEnd: Buffer.from('l')}],
      success: [{requestPut: {key: Buffer.from('k'), value: Buffer.alloc(300), lease: -1n}}],
      failure: [{requestTxn: {failure: [{requestRange: {limit: -5}}]}}],
    });
    const attempt = (input: Uint8Array) => {
      try {
        decodeTxnRequest(input);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtoError);
      }
    };
    for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
    for (let i = 0; i < whole.length; i++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(whole);
        damaged[i] ^= flip;
        attempt(damaged);
      }
    }
    fc.assert(fc.property(fc.uint8Array({maxLength: 60}), attempt), {numRuns: 2000});
  });

  it('Ensure that unknown fields of every wire type are passed over.', () => {
    const unknown = Buffer.from([
      ...[0xf8, 0x07, 0xff, 0x01],
      ...[0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8],
      ...[0xfa, 0x07, 2, 9, 9],
      ...[0xfb, 0x07, 0x08, 0x01, 0xfc, 0x07],
      ...[0xfd, 0x07, 1, 2, 3, 4],
    ]);
    const known = kv.encodePutRequest({key: Buffer.from('a'), prevKv: true});
    const decoded = kv.decodePutRequest(Buffer.concat([unknown, known, unknown]));
    expect(decoded).toEqual(kv.decodePutRequest(known));
    expect(Buffer.from(decoded.key).toString()).toBe('a');
  });

  it('Ensure that nesting is bounded and a length that lies is refused at once.', () => {
    let nested: Uint8Array = kv.encodeTxnRequest({});
    for (let depth = 0; depth < 400; depth++) {
      const writer = protobuf.Writer.create();
      writer.uint32(18).fork().uint32(34).bytes(nested).ldelim();
      nested = writer.finish();
    }
    expect(() => kv.decodeTxnRequest(nested)).toThrow(ProtoError);
    expect(() => kv.decodePutRequest(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]))).toThrow(ProtoError);
    expect(() => kv.decodePutRequest(Buffer.from([0x0a, 0x81, 0x80, 0x80, 0x80, 0x10, 0x41]))).toThrow(
      ProtoError,
    );
  });

  it('Ensure that numbers beyond 2^53 are rounded and never wrap.', () => {
    const round = (revision: number) => kv.decodeRangeRequest(kv.encodeRangeRequest({revision})).revision;
    for (const value of [
      2 ** 53,
      2 ** 62,
      2 ** 63,
      -1,
      -(2 ** 53),
      -(2 ** 63),
      2 ** 32,
      2 ** 32 - 1,
      2 ** 31,
    ]) {
      expect(round(value)).toBe(value);
    }
    expect(round(2 ** 64)).toBe(2 ** 63);
  });

  it('Ensure that a packed and an unpacked list read the same.', () => {
    const packed = watch.decodeWatchCreateRequest(Buffer.from([0x2a, 2, 0, 1]));
    const single = watch.decodeWatchCreateRequest(Buffer.from([0x28, 0, 0x28, 1]));
    expect(packed.filters).toEqual([0, 1]);
    expect(single.filters).toEqual([0, 1]);
  });

  it('Ensure that the last field of a oneof counts.', () => {
    const create = watch.encodeWatchRequest({createRequest: {key: Buffer.from('k')}});
    const cancel = watch.encodeWatchRequest({cancelRequest: {watchId: 7n}});
    const decoded = watch.decodeWatchRequest(Buffer.concat([create, cancel]));
    expect(decoded).toEqual({
      createRequest: undefined,
      cancelRequest: {watchId: 7n},
      progressRequest: undefined,
    });
  });

  it('Ensure that an encoded key-value is copied through and large messages survive the writer growing.', () => {
    const one = {
      key: Buffer.from('k'),
      value: Buffer.alloc(5000, 1),
      createRevision: 1,
      modRevision: 2,
      version: 3,
    };
    const encoded = mvcc.encodeKeyValue(one);
    const many = Array.from({length: 200}, () => ({key: Buffer.alloc(0), encoded}));
    const header = {clusterId: 2n ** 64n - 1n, memberId: 1n, revision: 9, raftTerm: 2};
    const response = kv.encodeRangeResponse({header, kvs: many, count: 200});
    expect(response).toEqual(kv.encodeRangeResponse({header, kvs: Array(200).fill(one), count: 200}));
    const decoded = kv.decodeRangeResponse(response);
    expect(decoded.kvs).toHaveLength(200);
    expect(decoded.header).toEqual(header);
    expect(Buffer.from(decoded.kvs[199].value).equals(one.value)).toBe(true);
    const blobs = lease.encodeLeaseTimeToLiveResponse({keys: Array(3000).fill(Buffer.alloc(100, 3))});
    expect(lease.decodeLeaseTimeToLiveResponse(blobs).keys).toHaveLength(3000);
  });

  it('Ensure that byte fields are views of the input.', () => {
    const input = Buffer.from(kv.encodePutRequest({key: Buffer.from('key'), value: Buffer.from('value')}));
    const {key} = kv.decodePutRequest(input);
    expect(key.buffer).toBe(input.buffer);
  });

  it('Ensure that the tables for views name every field as the .proto files do.', () => {
    for (const {oracle} of subjects) {
      const fields = MESSAGE_FIELDS[oracle.fullName.slice(1)];
      expect(fields.map(({jsonName}) => jsonName)).toEqual(oracle.fieldsArray.map(({name}) => name));
      expect(fields.map(({name}) => name)).toEqual(oracle.fieldsArray.map(propertyName));
      for (const {kind, type} of fields) {
        if (kind === 'message') expect(MESSAGE_FIELDS).toHaveProperty([type ?? '']);
        if (kind === 'enum') expect(ENUM_NAMES).toHaveProperty([type ?? '']);
      }
    }
    expect(MESSAGE_FIELDS['etcdserverpb.ResponseOp'].every(({oneof}) => oneof === 'response')).toBe(true);
    expect(ENUM_NAMES['mvccpb.Event.EventType'][1]).toBe('DELETE');
  });
});
