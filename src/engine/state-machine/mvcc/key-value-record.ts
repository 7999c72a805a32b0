/**
 * The value of a record of the table `key`: mvccpb.KeyValue, with its zero fields left out. Reading is lazy: most
 * records go to a client as the bytes they are.
 */

import {assert} from '../../errors.ts';
import {EMPTY_BYTES, fromLatin1, toLatin1} from '../../lib/bytes.ts';
import {
  ByteReader,
  DamagedBytesError,
  varint64Size,
  varintSize,
  writeVarint,
  writeVarint64,
} from '../../lib/varint.ts';
import type {KeyValue, LeaseId} from '../../types.ts';
import {corruptRecord} from './revision.ts';

const KEY = 0x0a;
const CREATE_REVISION = 0x10;
const MOD_REVISION = 0x18;
const VERSION = 0x20;
const VALUE = 0x2a;
const LEASE = 0x30;

type Fields = Omit<KeyValue, 'encoded'>;

export function encodeKeyValue(fields: Fields): Uint8Array {
  const {key, createRevision, modRevision, version, value, lease} = fields;
  assert(createRevision <= modRevision, 'a key is created before it is modified');
  let size = 0;
  if (key.length > 0) size += 1 + varintSize(key.length) + key.length;
  if (createRevision > 0) size += 1 + varintSize(createRevision);
  if (modRevision > 0) size += 1 + varintSize(modRevision);
  if (version > 0) size += 1 + varintSize(version);
  if (value.length > 0) size += 1 + varintSize(value.length) + value.length;
  if (lease !== 0n) size += 1 + varint64Size(lease);

  const bytes = Buffer.allocUnsafe(size);
  let at = writeBytesField(bytes, 0, KEY, key);
  at = writeNumberField(bytes, at, CREATE_REVISION, createRevision);
  at = writeNumberField(bytes, at, MOD_REVISION, modRevision);
  at = writeNumberField(bytes, at, VERSION, version);
  at = writeBytesField(bytes, at, VALUE, value);
  if (lease !== 0n) {
    bytes[at] = LEASE;
    at = writeVarint64(bytes, at + 1, lease);
  }
  assert(at === size, 'a record is as long as was counted');
  return bytes;
}

/** What stands under a tombstone: the key alone. */
export function encodeTombstoneKey(key: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(key.length > 0 ? 1 + varintSize(key.length) + key.length : 0);
  const end = writeBytesField(bytes, 0, KEY, key);
  assert(end === bytes.length, 'a record is as long as was counted');
  return bytes;
}

/** @throws EngineError storeCorrupt */
export function decodeKeyValue(encoded: Uint8Array): Fields {
  const reader = new ByteReader(encoded);
  let key = EMPTY_BYTES;
  let createRevision = 0;
  let modRevision = 0;
  let version = 0;
  let value = EMPTY_BYTES;
  let lease = 0n;
  try {
    while (reader.remaining > 0) {
      const tag = reader.varint();
      if (tag === KEY) key = reader.prefixed();
      else if (tag === CREATE_REVISION) createRevision = reader.varint();
      else if (tag === MOD_REVISION) modRevision = reader.varint();
      else if (tag === VERSION) version = reader.varint();
      else if (tag === VALUE) value = reader.prefixed();
      else if (tag === LEASE) lease = BigInt.asIntN(64, reader.varint64());
      else reader.skipField(tag & 7);
    }
  } catch (error) {
    if (error instanceof DamagedBytesError) throw corruptRecord(error.message);
    throw error;
  }
  return {key, createRevision, modRevision, version, value, lease};
}

/** A stored key-value: its fields are read from the record when first asked for. It spreads to nothing: copy by field. */
export class StoredKeyValue implements KeyValue {
  readonly encoded: Uint8Array;
  readonly modRevision: number;
  #fields: Fields | undefined;
  #keyText: string | undefined;

  constructor(encoded: Uint8Array, modRevision: number, keyText: string | undefined) {
    assert(modRevision >= 1, 'a stored key-value has a revision');
    this.encoded = encoded;
    this.modRevision = modRevision;
    this.#keyText = keyText;
  }

  /** The key as latin1. */
  get keyText(): string {
    this.#keyText ??= toLatin1(this.key);
    return this.#keyText;
  }

  get key(): Uint8Array {
    return this.#read().key;
  }

  get createRevision(): number {
    return this.#read().createRevision;
  }

  get version(): number {
    return this.#read().version;
  }

  get value(): Uint8Array {
    return this.#read().value;
  }

  get lease(): LeaseId {
    return this.#read().lease;
  }

  /** The same with an empty value, as keys_only asks for. */
  withoutValue(): StoredKeyValue {
    const {key, createRevision, modRevision, version, lease} = this.#read();
    const encoded = encodeKeyValue({key, createRevision, modRevision, version, value: EMPTY_BYTES, lease});
    return new StoredKeyValue(encoded, this.modRevision, this.#keyText);
  }

  #read(): Fields {
    this.#fields ??= decodeKeyValue(this.encoded);
    return this.#fields;
  }
}

/** What a delete event shows: the key and when. Small, since one command may make a million. */
export class DeletedKeyValue implements KeyValue {
  readonly keyText: string;
  readonly modRevision: number;

  constructor(keyText: string, modRevision: number) {
    this.keyText = keyText;
    this.modRevision = modRevision;
  }

  get key(): Uint8Array {
    return fromLatin1(this.keyText);
  }

  get createRevision(): number {
    return 0;
  }

  get version(): number {
    return 0;
  }

  get value(): Uint8Array {
    return EMPTY_BYTES;
  }

  get lease(): LeaseId {
    return 0n;
  }

  get encoded(): undefined {
    return undefined;
  }
}

/** The key of any key-value as latin1, without decoding where it is known. */
export function keyTextOf(kv: KeyValue): string {
  return kv instanceof StoredKeyValue || kv instanceof DeletedKeyValue ? kv.keyText : toLatin1(kv.key);
}

function writeBytesField(target: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  if (value.length === 0) return at;
  target[at] = tag;
  const start = writeVarint(target, at + 1, value.length);
  target.set(value, start);
  return start + value.length;
}

function writeNumberField(target: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  target[at] = tag;
  return writeVarint(target, at + 1, value);
}
