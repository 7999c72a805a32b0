/**
 * What each command prints for a fixed result, in every form it has. One file for each view in files/views; a form
 * that is missing there is refused with exit code 4.
 */

import {describe, it} from 'vitest';
import {FORMATS, show, type View} from '../../../src/commands/_shared/printer.ts';
import {
  endpointHashView,
  endpointHealthView,
  endpointStatusView,
} from '../../../src/commands/_shared/views/endpoint.ts';
import {deleteView, putView, rangeView, txnView} from '../../../src/commands/_shared/views/key-value.ts';
import {
  leaseGrantView,
  leaseKeepAliveView,
  leaseListView,
  leaseRevokeView,
  leaseTimeToLiveView,
} from '../../../src/commands/_shared/views/lease.ts';
import {
  alarmView,
  moveLeaderView,
  snapshotStatusView,
} from '../../../src/commands/_shared/views/maintenance.ts';
import {memberAddView, memberChangeView, memberListView} from '../../../src/commands/_shared/views/member.ts';
import {watchView} from '../../../src/commands/_shared/views/watch.ts';
import {MemoryTerminal} from '../../unit/commands/memory-terminal.ts';
import {expectGolden} from './golden-file.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

const header = {clusterId: 14841639068965178418n, memberId: 10276657743932975437n, revision: 42, raftTerm: 7};
const kv = {
  key: bytes('plain'),
  createRevision: 3,
  modRevision: 5,
  version: 2,
  value: bytes('a <value> & "more"'),
  lease: 0n,
};
const binary = {
  key: bytes('\x00\xff\n'),
  createRevision: 9,
  modRevision: 9,
  version: 1,
  value: bytes(''),
  lease: 7587868094675415234n,
};
const tombstone = {
  key: bytes('plain'),
  createRevision: 0,
  modRevision: 6,
  version: 0,
  value: bytes(''),
  lease: 0n,
};
const member = {
  ID: 10276657743932975437n,
  name: 'one',
  peerURLs: ['http://10.0.0.1:2380', 'http://10.1.0.1:2380'],
  clientURLs: ['http://10.0.0.1:2379'],
  isLearner: false,
};
const joining = {ID: 255n, name: '', peerURLs: ['http://10.0.0.2:2380'], clientURLs: [], isLearner: true};
const range = {header, kvs: [kv, binary], more: true, count: 12};
const put = {header, prevKv: kv};
const deletion = {header, deleted: 2, prevKvs: [kv, binary]};
const inner = {clusterId: 0n, memberId: 0n, revision: 42, raftTerm: 0};
const status = {
  header,
  version: '3.7.1',
  dbSize: 20_480_000,
  leader: header.memberId,
  raftIndex: 100,
  raftTerm: 7,
  raftAppliedIndex: 99,
  errors: ['memberID:1 alarm:NOSPACE', 'another'],
  dbSizeInUse: 1_638_400,
  isLearner: false,
  storageVersion: '3.7.0',
  dbSizeQuota: 2_147_483_648,
  downgradeInfo: {enabled: false, targetVersion: ''},
};
const watched = {
  header,
  watchId: 0n,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  fragment: false,
  events: [
    {type: 0, kv: binary},
    {type: 1, kv: tombstone, prevKv: kv},
  ],
};

// biome-ignore lint/suspicious/noExplicitAny: each view goes with its own result
const CASES: Readonly<Record<string, readonly [View<any>, unknown]>> = {
  range: [rangeView({valuesOnly: false}), range],
  'range-values-only': [rangeView({valuesOnly: true}), range],
  'range-empty': [rangeView({valuesOnly: false}), {header, kvs: [], more: false, count: 0}],
  put: [putView, put],
  'put-alone': [putView, {header}],
  delete: [deleteView, deletion],
  txn: [
    txnView,
    {
      header,
      succeeded: true,
      responses: [
        {responsePut: {...put, header: inner}},
        {responseRange: {...range, header: inner}},
        {responseDeleteRange: {...deletion, header: inner}},
        {responseTxn: {header: inner, succeeded: false, responses: [{responsePut: {header: inner}}]}},
      ],
    },
  ],
  watch: [watchView, watched],
  'lease-grant': [leaseGrantView, {header, ID: 7587868094675415234n, TTL: 100, error: ''}],
  'lease-revoke': [leaseRevokeView(0x1234n), {header}],
  'lease-keep-alive': [leaseKeepAliveView, {header, ID: 0x1234n, TTL: 100}],
  'lease-timetolive': [
    leaseTimeToLiveView({keys: true}),
    {header, ID: 0x1234n, TTL: 99, grantedTTL: 100, keys: [bytes('a'), bytes('\xff')]},
  ],
  'lease-timetolive-gone': [
    leaseTimeToLiveView({keys: false}),
    {header, ID: 0x1234n, TTL: -1, grantedTTL: 0, keys: []},
  ],
  'lease-list': [leaseListView, {header, leases: [{ID: 0x1234n}, {ID: -1n}]}],
  'member-list': [memberListView, {header: {...header, revision: 0}, members: [member, joining]}],
  'member-add': [
    memberAddView,
    {name: 'two', response: {header, member: joining, members: [member, joining]}},
  ],
  'member-remove': [memberChangeView(255n, 'removed'), {header, members: [member]}],
  'member-update': [memberChangeView(255n, 'updated'), {header, members: [member]}],
  'member-promote': [memberChangeView(255n, 'promoted'), {header, members: [member]}],
  'endpoint-health': [
    endpointHealthView,
    [
      {endpoint: '127.0.0.1:2379', isHealthy: true, tookMs: 1.234567, error: ''},
      {endpoint: '127.0.0.1:9', isHealthy: false, tookMs: 2_000.5, error: 'context deadline exceeded'},
    ],
  ],
  'endpoint-status': [
    endpointStatusView,
    [
      {endpoint: '127.0.0.1:2379', status},
      {
        endpoint: 'http://10.0.0.2:2379',
        status: {
          ...status,
          header: {...header, memberId: 1n},
          errors: [],
          isLearner: true,
          downgradeInfo: undefined,
        },
      },
    ],
  ],
  'endpoint-hashkv': [
    endpointHashView,
    [
      {
        endpoint: '127.0.0.1:2379',
        hash: {header, hash: 2_200_476_997, compactRevision: -1, hashRevision: 42},
      },
    ],
  ],
  alarm: [
    alarmView,
    {
      header,
      alarms: [
        {memberID: member.ID, alarm: 1},
        {memberID: 255n, alarm: 2},
      ],
    },
  ],
  'alarm-none': [alarmView, {alarms: []}],
  'move-leader': [moveLeaderView(member.ID, 255n), {header}],
  'snapshot-status': [
    snapshotStatusView,
    {hash: 0xa78fac8d, revision: 24, totalKeys: 4, totalRecords: 30, totalSize: 24_576, version: '3.7.0'},
  ],
};

/** Bytes that are no text are shown as dots of their value, so that the file can be read. */
function readable(output: Buffer): string {
  return output
    .toString('latin1')
    .replace(/[^\n -~]/g, (char) => `‹${char.charCodeAt(0).toString(16).padStart(2, '0')}›`);
}

async function printed(
  view: View<unknown>,
  result: unknown,
  looks: Parameters<typeof show>[2],
): Promise<string> {
  const terminal = new MemoryTerminal();
  try {
    await show(view, result, looks, terminal);
  } catch (error) {
    return `Error: ${(error as Error).message}\n`;
  }
  return looks.format === 'table' ? terminal.text : readable(terminal.bytes);
}

describe('views', () => {
  it.each(Object.entries(CASES))(
    'Ensure that %s looks as in its golden file.',
    async (name, [view, result]) => {
      let text = '';
      for (const format of FORMATS) {
        for (const hex of [false, true]) {
          const output = await printed(view, result, {format, hex});
          const plain = hex ? await printed(view, result, {format, hex: false}) : undefined;
          if (output === plain) continue;
          text += `---- ${format}${hex ? ' --hex' : ''}\n${output}${output.endsWith('\n') ? '' : '⏎\n'}`;
        }
      }
      expectGolden(`views/${name}.txt`, text);
    },
  );
});
