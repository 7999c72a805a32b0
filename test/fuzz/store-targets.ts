/** What lies in the data folder beside the log: its marker, the image's description, and the store's records. */

import {
  CHECKSUM_BYTES,
  decodeImageState,
  encodeImageState,
  IMAGE_DATABASE,
  IMAGE_KEY,
  recordChecksum,
} from '../../src/engine/io/lmdb-backend-format.ts';
import {silentLogger} from '../../src/engine/io/logger.ts';
import {crc32c} from '../../src/engine/lib/crc32c.ts';
import {decodeLease, encodeLease, encodeLeaseKey} from '../../src/engine/state-machine/lease/lease-record.ts';
import {
  decodeConfState,
  decodeMember,
  encodeConfState,
  encodeMember,
} from '../../src/engine/state-machine/member-record.ts';
import {decodeKeyValue, encodeKeyValue} from '../../src/engine/state-machine/mvcc/key-value-record.ts';
import {
  decodeRevision,
  encodeRevision,
  encodeTombstoneRevision,
  isTombstone,
} from '../../src/engine/state-machine/mvcc/revision.ts';
import {DataDir} from '../../src/engine/storage/data-dir.ts';
import {type Member, TABLES, type Table} from '../../src/engine/types.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import {MemoryRecords} from '../simulator/memory-records.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {confStateOf} from '../unit/raft/raft-member.ts';
import {bytes as bytesOf, Machine} from '../unit/state-machine/machine.ts';
import {type FuzzTarget, neverRefuses, promise, promiseSame, refusesWith} from './fuzz-target.ts';
import {changedInPlace, mutated, noise, oneOf} from './mutate.ts';
import {mutatedMessage} from './mutate-proto.ts';
import {jsonText, mutatedValue} from './mutate-value.ts';

const HUGE_ID = 0xfedcba9876543210n;
const MEMBERS: readonly Member[] = [
  {
    id: HUGE_ID,
    name: 'a "b"',
    peerURLs: ['http://a:1', 'http://b:1'],
    clientURLs: ['http://a:2'],
    isLearner: true,
  },
  {id: 1n, name: '', peerURLs: ['http://c:1'], clientURLs: [], isLearner: false},
];
const CONF_STATES = [
  confStateOf({voters: [HUGE_ID, 2n]}),
  {voters: [1n, 2n], votersOutgoing: [1n, 3n], learners: [4n], learnersNext: [3n], autoLeave: true},
];
const isStoreCorrupt = refusesWith('storeCorrupt');

export async function storeTargets(): Promise<FuzzTarget[]> {
  return [
    await markerTarget(),
    IMAGE_STATE,
    MEMBER_RECORD,
    CONF_STATE_RECORD,
    LEASE_RECORD,
    KEY_VALUE_RECORD,
    REVISION_KEY,
    STORE,
  ];
}

async function markerTarget(): Promise<FuzzTarget> {
  const open = (disk: MemoryDisk) =>
    DataDir.open({disk, lock: async () => async () => undefined, logger: silentLogger});
  const made = async (marker: Parameters<DataDir['create']>[0]): Promise<Buffer> => {
    const disk = new MemoryDisk();
    await (await open(disk)).create(marker, async () => undefined);
    return Buffer.from(await disk.readFile('KVD'));
  };
  const first = await made({clusterId: HUGE_ID, memberId: 2n, madeBy: 'kvd 0.1.0', isRestored: false});
  const samples = [first, await made({clusterId: 1n, memberId: HUGE_ID, madeBy: 'ä', isRestored: true})];
  return {
    name: 'data-dir-marker',
    samples,
    malform: (random) => {
      const line = jsonText(mutatedValue(random, JSON.parse(String(oneOf(random, samples)).split('\n')[0])));
      const checksum = crc32c(Buffer.from(line)).toString(16).padStart(8, '0');
      return Buffer.from(`${line}\ncrc32c ${checksum}\n`);
    },
    run: async (bytes) => {
      const disk = new MemoryDisk();
      const file = await disk.open('KVD', {create: true});
      await file.write(0, [bytes]);
      const {marker} = await open(disk);
      if (marker === undefined) throw new Error('a marker is there');
      promise(marker.clusterId < 2n ** 64n && marker.memberId < 2n ** 64n, 'ids of 64 bits');
      const again = new MemoryDisk();
      await (await open(again)).create(marker, async () => undefined);
      promiseSame((await open(again)).marker, marker);
    },
    isRefusal: refusesWith('markerCorrupt', 'formatUnsupported'),
  };
}

const APPLIED = {index: 2 ** 40, term: 3, hash: 0xffffffff};
const IMAGE_STATES = [
  encodeImageState({applied: APPLIED, counts: TABLES.map((_, i) => i)}),
  encodeImageState({applied: {index: 1, term: 1, hash: 0}, counts: TABLES.map(() => 0)}),
];
const IMAGE_STATE: FuzzTarget = {
  name: 'image-state',
  samples: IMAGE_STATES,
  malform: (random) => {
    const text = Buffer.from(oneOf(random, IMAGE_STATES)).subarray(0, -CHECKSUM_BYTES).toString();
    const other = Buffer.from(jsonText(mutatedValue(random, JSON.parse(text))));
    const sealed = Buffer.alloc(other.length + CHECKSUM_BYTES);
    other.copy(sealed);
    const seed = crc32c(Buffer.from(IMAGE_DATABASE));
    sealed.writeUInt32LE(recordChecksum(seed, IMAGE_KEY, other), other.length);
    return sealed;
  },
  run: (bytes) => {
    const state = decodeImageState(bytes);
    if (!('applied' in state)) return;
    const {index, term, hash} = state.applied;
    promise(
      [index, term, hash, ...state.counts].every((n) => Number.isSafeInteger(n) && n >= 0),
      'numbers that count',
    );
    promiseSame(decodeImageState(encodeImageState(state)), state);
  },
  // Damage is described, not thrown.
  isRefusal: neverRefuses,
};

/** etcd's JSON has ids as bare numbers beyond what a double holds. */
function malformedJson(samples: readonly Uint8Array[]): (random: SeededRandom) => Uint8Array {
  return (random) => {
    const text = Buffer.from(oneOf(random, samples)).toString();
    const value: unknown = JSON.parse(text.replace(/([:[,])(\d+)(?=[,\]}])/g, '$1"#$2"'));
    return Buffer.from(jsonText(mutatedValue(random, value)).replace(/"#(\d+)"/g, '$1'));
  };
}

const MEMBER_SAMPLES = MEMBERS.map(encodeMember);
const MEMBER_RECORD: FuzzTarget = {
  name: 'member-records',
  samples: MEMBER_SAMPLES,
  malform: malformedJson(MEMBER_SAMPLES),
  run: (bytes) => {
    const member = decodeMember(bytes);
    promiseSame(decodeMember(encodeMember(member)), member);
  },
  isRefusal: isStoreCorrupt,
};

const CONF_STATE_SAMPLES = CONF_STATES.map(encodeConfState);
const CONF_STATE_RECORD: FuzzTarget = {
  name: 'configuration-records',
  samples: CONF_STATE_SAMPLES,
  malform: malformedJson(CONF_STATE_SAMPLES),
  run: (bytes) => {
    const state = decodeConfState(bytes);
    const ids = [state.voters, state.votersOutgoing, state.learners, state.learnersNext].flat();
    promise(
      ids.every((id) => id < 2n ** 64n),
      'ids of 64 bits',
    );
    promiseSame(decodeConfState(encodeConfState(state)), state);
  },
  isRefusal: isStoreCorrupt,
};

const LEASE_SAMPLES = [
  {id: 7n, ttlSeconds: 60, remainingTtlSeconds: 0},
  {id: -1n, ttlSeconds: 9e9, remainingTtlSeconds: 5},
].map((lease) => Buffer.concat([encodeLeaseKey(lease.id), encodeLease(lease)]));
const LEASE_RECORD: FuzzTarget = {
  name: 'lease-records',
  samples: LEASE_SAMPLES,
  malform: (random) => {
    const sample = oneOf(random, LEASE_SAMPLES);
    return Buffer.concat([sample.subarray(0, 8), mutatedMessage(random, [sample.subarray(8)])]);
  },
  run: (bytes) => {
    const lease = decodeLease(bytes.subarray(0, 8), bytes.subarray(8));
    promiseSame(decodeLease(encodeLeaseKey(lease.id), encodeLease(lease)), lease);
  },
  isRefusal: isStoreCorrupt,
};

const KEY_VALUE_SAMPLES = [
  {
    key: bytesOf('key'),
    createRevision: 2,
    modRevision: 2 ** 40,
    version: 5,
    value: Buffer.alloc(300, 1),
    lease: -5n,
  },
  {key: bytesOf('k'), createRevision: 1, modRevision: 1, version: 1, value: bytesOf(''), lease: 0n},
].map(encodeKeyValue);
const KEY_VALUE_RECORD: FuzzTarget = {
  name: 'key-value-records',
  samples: KEY_VALUE_SAMPLES,
  malform: (random) => mutatedMessage(random, KEY_VALUE_SAMPLES),
  run: (bytes) => {
    const fields = decodeKeyValue(bytes);
    // What was created after it was modified is read, and refused where the index is loaded.
    if (fields.createRevision > fields.modRevision) return;
    promiseSame(decodeKeyValue(encodeKeyValue(fields)), fields);
  },
  isRefusal: isStoreCorrupt,
};

const REVISION_KEY: FuzzTarget = {
  name: 'revision-keys',
  samples: [encodeRevision(1, 0), encodeRevision(2 ** 53 - 1, 2 ** 40), encodeTombstoneRevision(2 ** 33, 7)],
  run: (bytes) => {
    const {main, sub} = decodeRevision(bytes);
    const again = isTombstone(bytes) ? encodeTombstoneRevision(main, sub) : encodeRevision(main, sub);
    promise(bytes.equals(again), 'a revision is written in one way');
  },
  isRefusal: isStoreCorrupt,
};

/** A store with one of everything, the tombstones of a large deletion still to come. */
function sampleStore(): {table: Table; key: Uint8Array; value: Uint8Array}[] {
  const machine = new Machine(new MemoryRecords(), {pendingDeleteKeysMin: 3});
  for (const id of [7n, 8n]) machine.apply({type: 'leaseGrant', id, ttlSeconds: 60});
  for (let n = 0; n < 12; n++) machine.put(`key ${n}`, `value ${n}`, {lease: n % 3 === 0 ? 7n : 0n});
  machine.delete('key 11');
  machine.compact(4);
  machine.apply({type: 'alarm', action: 'activate', memberId: HUGE_ID, alarm: 1});
  machine.delete('key 2', 'key 6');
  const {records} = machine;
  for (const member of MEMBERS) records.put('members', bytesOf(member.id.toString(16)), encodeMember(member));
  records.put('members_removed', bytesOf('ff'), bytesOf('removed'));
  return TABLES.flatMap((table) =>
    [...records.range(table, {})].map(([key, value]) => ({table, key, value})),
  );
}

const TABLE_NUMBERS = new Map(TABLES.map((table, number) => [table, number]));

/** table u8 | key length u16 | value length u32 | key | value */
function packed(records: readonly {table: Table; key: Uint8Array; value: Uint8Array}[]): Buffer {
  return Buffer.concat(
    records.flatMap(({table, key, value}) => {
      const head = Buffer.alloc(7);
      head[0] = TABLE_NUMBERS.get(table) ?? 0;
      head.writeUInt16LE(key.length, 1);
      head.writeUInt32LE(value.length, 3);
      return [head, key, value];
    }),
  );
}

const STORE_RECORDS = sampleStore();
const STORE: FuzzTarget = {
  name: 'store',
  samples: [packed(STORE_RECORDS)],
  malform: (random) => {
    const at = random.below(STORE_RECORDS.length);
    const {table, key, value} = STORE_RECORDS[at];
    const others = STORE_RECORDS.filter((record) => record.table === table).map((record) => record.value);
    const otherKey = Buffer.from(random.below(2) === 0 ? changedInPlace(random, Buffer.from(key)) : key);
    const changes = [
      () => mutatedMessage(random, others),
      () => mutated(random, others),
      () => noise(random, 9),
      () => value,
    ];
    const record = {table, key: otherKey, value: oneOf(random, changes)()};
    return packed(STORE_RECORDS.toSpliced(at, random.below(2), ...(random.below(6) === 0 ? [] : [record])));
  },
  run: (bytes) => {
    const records = new MemoryRecords();
    for (let at = 0; at + 7 <= bytes.length; ) {
      const keyAt = at + 7;
      const valueAt = keyAt + bytes.readUInt16LE(at + 1);
      const end = valueAt + bytes.readUInt32LE(at + 3);
      if (end > bytes.length) break;
      records.put(
        TABLES[bytes[at] % TABLES.length],
        bytes.subarray(keyAt, valueAt),
        bytes.subarray(valueAt, end),
      );
      at = end;
    }
    // What loads can be read.
    const machine = new Machine(records);
    machine.get('\0', '\0');
    machine.leases();
    machine.stateMachine.members.list();
  },
  isRefusal: isStoreCorrupt,
};
