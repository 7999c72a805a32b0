/**
 * Members and the configuration as etcd's JSON. Ids are bare unsigned 64-bit numbers there, which JSON.parse would
 * round: they are quoted before parsing and unquoted after printing.
 */

import {EngineError} from '../errors.ts';
import {fromLatin1} from '../lib/bytes.ts';
import {hex64} from '../lib/hex64.ts';
import {isObject, isTextList} from '../lib/plain-data.ts';
import type {Member, MemberId} from '../types.ts';

/** Who decides; the same shape as raft's, which this layer does not know. */
export interface ConfState {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  readonly learnersNext: readonly MemberId[];
  readonly autoLeave: boolean;
}

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** Lower-case hex without leading zeros, as etcd names members in its buckets. */
export function encodeMemberKey(id: MemberId): Uint8Array {
  return fromLatin1(hex64(id));
}

export function encodeMember({id, name, peerURLs, clientURLs, isLearner}: Member): Uint8Array {
  const rest = {
    peerURLs,
    isLearner: isLearner ? true : undefined,
    name: name === '' ? undefined : name,
    clientURLs: clientURLs.length === 0 ? undefined : clientURLs,
  };
  return Buffer.from(`{"id":${id},${JSON.stringify(rest).slice(1)}`);
}

/** @throws EngineError storeCorrupt */
export function decodeMember(value: Uint8Array): Member {
  // A quoted name followed by a colon cannot stand inside a JSON string: its quotes would be escaped.
  const json = parseJson(text(value).replace(/"id"\s*:\s*(\d+)/, '"id":"$1"'), 'members');
  const {id, name = '', peerURLs, clientURLs, isLearner = false} = json;
  if (typeof name !== 'string' || typeof isLearner !== 'boolean') throw corruptJson('members');
  return {
    id: idOf(id, 'members'),
    name,
    peerURLs: stringList(peerURLs, 'members'),
    clientURLs: stringList(clientURLs, 'members'),
    isLearner,
  };
}

export function encodeConfState(state: ConfState): Uint8Array {
  const lists = [
    ['voters', state.voters],
    ['learners', state.learners],
    ['voters_outgoing', state.votersOutgoing],
    ['learners_next', state.learnersNext],
  ] as const;
  const parts = lists
    .filter(([, ids]) => ids.length > 0)
    .map(([name, ids]) => `"${name}":[${ids.join(',')}]`);
  return Buffer.from(`{${[...parts, `"auto_leave":${state.autoLeave}`].join(',')}}`);
}

/** Where the configuration stands in table `meta`. */
export const CONF_STATE_KEY: Uint8Array = Buffer.from('confState', 'latin1');

/** The configuration that a store's records carry. @throws EngineError storeCorrupt */
export function storedConfState(records: {
  get(table: 'meta', key: Uint8Array): Uint8Array | undefined;
}): ConfState {
  const value = records.get('meta', CONF_STATE_KEY);
  return value === undefined ? EMPTY_CONF_STATE : decodeConfState(value);
}

/** @throws EngineError storeCorrupt */
export function decodeConfState(value: Uint8Array): ConfState {
  const json = parseJson(text(value).replace(/\d+/g, '"$&"'), 'meta');
  const ids = (list: unknown) => stringList(list, 'meta').map((id) => idOf(id, 'meta'));
  return {
    voters: ids(json.voters),
    votersOutgoing: ids(json.voters_outgoing),
    learners: ids(json.learners),
    learnersNext: ids(json.learners_next),
    autoLeave: json.auto_leave === true,
  };
}

function text(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8');
}

function parseJson(json: string, path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new EngineError({code: 'storeCorrupt', path, detail: 'not JSON'}, error);
  }
  if (!isObject(value)) throw corruptJson(path);
  return value;
}

/** A quoted number. */
function idOf(text: unknown, path: string): MemberId {
  const id = typeof text === 'string' && /^[0-9]{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (id === undefined || id !== BigInt.asUintN(64, id)) throw corruptJson(path);
  return id;
}

/** Absent and null count as empty, as Go writes a nil list. */
function stringList(list: unknown, path: string): readonly string[] {
  if (list === undefined || list === null) return [];
  if (!isTextList(list)) throw corruptJson(path);
  return list;
}

function corruptJson(path: string): EngineError {
  return new EngineError({code: 'storeCorrupt', path, detail: 'unexpected JSON'});
}
