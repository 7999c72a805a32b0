/** The services on a server that a test fills in: what they pass on, and what they answer. */

import {describe, expect, it, vi} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import type {Member, TxnResult} from '../../../src/engine/types.ts';
import {answerInOrder} from '../../../src/transport/api/services/answer-in-order.ts';
import {authMethods} from '../../../src/transport/api/services/auth.ts';
import {clusterMethods} from '../../../src/transport/api/services/cluster.ts';
import {healthMethods} from '../../../src/transport/api/services/health.ts';
import {kvMethods} from '../../../src/transport/api/services/kv.ts';
import {leaseMethods} from '../../../src/transport/api/services/lease.ts';
import {maintenanceMethods} from '../../../src/transport/api/services/maintenance.ts';
import {snapshotBlobs} from '../../../src/transport/api/services/snapshot-blobs.ts';
import {StreamGuard} from '../../../src/transport/api/stream-guard.ts';
import type {GrpcError} from '../../../src/transport/http2/grpc-status.ts';
import * as auth from '../../../src/transport/proto/generated/auth.ts';
import * as cluster from '../../../src/transport/proto/generated/cluster.ts';
import * as health from '../../../src/transport/proto/generated/health.ts';
import * as kv from '../../../src/transport/proto/generated/kv.ts';
import * as lease from '../../../src/transport/proto/generated/lease.ts';
import * as maintenance from '../../../src/transport/proto/generated/maintenance.ts';
import {callUnary, fakeCall, fakeContext, fakeServer, HEADER} from './fake-server.ts';

const bytes = (text: string) => Buffer.from(text);
const stored = {key: bytes('k'), value: bytes('v'), createRevision: 2, modRevision: 3, version: 2, lease: 0n};

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const statusOf = (promise: Promise<unknown>): Promise<[number, string]> =>
  promise.then(
    () => [0, 'OK'],
    (error: GrpcError) => [error.status, error.message],
  );

describe('KV', () => {
  it('Ensure that a put reaches the server as it was decoded and its answer has the header.', async () => {
    const put = vi.fn(async () => ({header: HEADER, result: {prevKv: stored}}));
    const methods = kvMethods(fakeContext(fakeServer({put})));
    const request = kv.encodePutRequest({key: bytes('k'), value: bytes('v'), lease: 9n, prevKv: true});
    const response = kv.decodePutResponse(await callUnary(methods, kv.KVPath.Put, request));
    expect(put).toHaveBeenCalledWith({
      key: bytes('k'),
      value: bytes('v'),
      lease: 9n,
      prevKv: true,
      ignoreValue: false,
      ignoreLease: false,
    });
    expect(response).toEqual({header: HEADER, prevKv: stored});
  });

  it('Ensure that refused requests never reach the server and failures keep their status.', async () => {
    const methods = kvMethods(fakeContext(fakeServer()));
    const put = (input: kv.PutRequestInput) =>
      statusOf(callUnary(methods, kv.KVPath.Put, kv.encodePutRequest(input)));
    expect(await put({})).toEqual([3, 'etcdserver: key is not provided']);
    expect(await put({key: bytes('k')})).toEqual([14, 'etcdserver: server stopped']);
  });

  it('Ensure that inner headers of a transaction say the revision that each operation saw or made.', async () => {
    const range = {kvs: [stored], more: false, count: 1};
    const result: TxnResult = {
      succeeded: true,
      responses: [
        {responseRange: range},
        {responseDeleteRange: {deleted: 0, prevKvs: []}},
        {
          responseTxn: {
            succeeded: false,
            responses: [{responseRange: range}, {responsePut: {prevKv: undefined}}],
          },
        },
        {responseRange: range},
        {responseDeleteRange: {deleted: 0, prevKvs: []}},
      ],
    };
    const txn = async () => ({header: HEADER, result});
    const methods = kvMethods(fakeContext(fakeServer({txn})));
    const response = kv.decodeTxnResponse(
      await callUnary(methods, kv.KVPath.Txn, kv.encodeTxnRequest({success: []})),
    );
    expect(response.header).toEqual(HEADER);
    const [first, second, third, fourth, fifth] = response.responses;
    expect(first.responseRange?.header).toEqual({clusterId: 0n, memberId: 0n, revision: 41, raftTerm: 0});
    expect(second.responseDeleteRange?.header?.revision).toBe(41);
    expect(third.responseTxn?.header).toEqual({clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0});
    expect(third.responseTxn?.responses[0].responseRange?.header?.revision).toBe(41);
    expect(third.responseTxn?.responses[1].responsePut?.header?.revision).toBe(42);
    expect(fourth.responseRange?.header?.revision).toBe(42);
    expect(fifth.responseDeleteRange?.header?.revision).toBe(42);
    expect(first.responseRange?.kvs).toEqual([stored]);
  });

  it('Ensure that a transaction that only reads shows the current revision inside, too.', async () => {
    const result = {succeeded: true, responses: [{responseDeleteRange: {deleted: 0, prevKvs: []}}]};
    const methods = kvMethods(fakeContext(fakeServer({txn: async () => ({header: HEADER, result})})));
    const response = kv.decodeTxnResponse(await callUnary(methods, kv.KVPath.Txn, kv.encodeTxnRequest({})));
    expect(response.responses[0].responseDeleteRange?.header?.revision).toBe(42);
  });

  it('Ensure that a learner answers serializable ranges only.', async () => {
    const range = async () => ({header: HEADER, result: {kvs: [], more: false, count: 0}});
    const methods = kvMethods(fakeContext(fakeServer({range, isLearner: () => true})));
    const read = (serializable: boolean) =>
      statusOf(callUnary(methods, kv.KVPath.Range, kv.encodeRangeRequest({key: bytes('k'), serializable})));
    expect(await read(true)).toEqual([0, 'OK']);
    expect(await read(false)).toEqual([9, 'etcdserver: rpc not supported for learner']);
  });

  it('Ensure that a range stream passes parts on and refuses what needs sorting or filters.', async () => {
    const rangeStream = async function* () {
      yield {header: HEADER, result: {kvs: [stored], more: false, count: 0}};
      yield {header: HEADER, result: {kvs: [], more: false, count: 1}};
    };
    const methods = kvMethods(fakeContext(fakeServer({rangeStream})));
    const method = methods.find(({path}) => path === kv.KVPath.RangeStream);
    if (method?.kind !== 'serverStream') throw new Error('RangeStream is a stream');
    const run = (input: kv.RangeRequestInput) =>
      collect(method.handle(method.decode(kv.encodeRangeRequest(input)), fakeCall()));
    const parts = (await run({key: bytes('k'), sortOrder: 1})).map(
      (part) => kv.decodeRangeStreamResponse(method.encode(part)).rangeResponse,
    );
    expect(parts.map((part) => [part?.header, part?.kvs.length, part?.count])).toEqual([
      [HEADER, 1, 0],
      [HEADER, 0, 1],
    ]);
    expect(await statusOf(run({}))).toEqual([3, 'etcdserver: key is not provided']);
    const sorted = [12, 'RangeStream does not support custom sort orders'];
    expect(await statusOf(run({key: bytes('k'), sortOrder: 2}))).toEqual(sorted);
    expect(await statusOf(run({key: bytes('k'), sortOrder: 1, sortTarget: 3}))).toEqual(sorted);
    expect(await statusOf(run({key: bytes('k'), sortTarget: 3}))).toEqual([0, 'OK']);
    expect(await statusOf(run({key: bytes('k'), minModRevision: 1}))).toEqual([
      12,
      'RangeStream does not support revision filters',
    ]);
  });
});

describe('Lease', () => {
  it('Ensure that ids and TTLs travel both ways, negative ids included.', async () => {
    const leaseGrant = vi.fn(async () => ({header: HEADER, result: {id: -5n, ttlSeconds: 60}}));
    const methods = leaseMethods(fakeContext(fakeServer({leaseGrant})));
    const request = lease.encodeLeaseGrantRequest({ID: -5n, TTL: 60});
    const response = lease.decodeLeaseGrantResponse(
      await callUnary(methods, lease.LeasePath.LeaseGrant, request),
    );
    expect(leaseGrant).toHaveBeenCalledWith({id: -5n, ttlSeconds: 60});
    expect(response).toEqual({header: HEADER, ID: -5n, TTL: 60, error: ''});
  });

  it('Ensure that renewals run side by side and are answered in order.', async () => {
    const open = new Map<bigint, () => void>();
    const leaseRenew = (id: bigint) =>
      new Promise<{header: typeof HEADER; result: {ttlSeconds: number}}>((resolve) => {
        open.set(id, () => resolve({header: HEADER, result: {ttlSeconds: Number(id)}}));
      });
    const methods = leaseMethods(fakeContext(fakeServer({leaseRenew})));
    const method = methods.find(({path}) => path === lease.LeasePath.LeaseKeepAlive);
    if (method?.kind !== 'bidi') throw new Error('LeaseKeepAlive is a stream');
    const requests = (async function* () {
      yield {ID: 1n};
      yield {ID: 2n};
    })();
    const answers = collect(method.handle(requests, fakeCall()));
    await vi.waitFor(() => expect([...open.keys()]).toEqual([1n, 2n]));
    open.get(2n)?.();
    open.get(1n)?.();
    expect((await answers).map((answer) => (answer as {ID: bigint}).ID)).toEqual([1n, 2n]);
  });
});

describe('streams of one answer each', () => {
  const never = () => () => undefined;

  it('Ensure that no more requests are taken than may be in flight.', async () => {
    let taken = 0;
    const requests = (async function* () {
      for (let i = 0; i < 10; i++) {
        taken++;
        yield i;
      }
    })();
    const release: (() => void)[] = [];
    const answer = (i: number) => new Promise<number>((resolve) => release.push(() => resolve(i)));
    const options = {inFlightMax: 3, signal: new AbortController().signal, onEnd: never};
    const answers = answerInOrder(requests, answer, options);
    const first = answers.next();
    await vi.waitFor(() => expect(release.length).toBe(3));
    expect(taken).toBe(3);
    release[0]();
    expect((await first).value).toBe(0);
    await vi.waitFor(() => expect(taken).toBe(4));
    await answers.return();
  });

  it('Ensure that an abort and a lost leader end the stream although no request comes.', async () => {
    const silent = {[Symbol.asyncIterator]: () => ({next: () => new Promise<never>(() => undefined)})};
    const end = new AbortController();
    const aborted = answerInOrder(silent, async () => 1, {
      inFlightMax: 3,
      signal: end.signal,
      onEnd: never,
    });
    const waiting = statusOf(aborted.next());
    end.abort(new EngineError({code: 'canceled'}));
    expect(await waiting).toEqual([1, 'context canceled']);
    let leader = HEADER.memberId;
    const guard = new StreamGuard({leader: () => leader}, {electionTimeoutMs: 1});
    const call = fakeCall({hasleader: 'true'});
    guard.check(call);
    const guarded = answerInOrder(silent, async () => 1, {
      inFlightMax: 3,
      signal: call.signal,
      onEnd: (lost) => guard.add(call, lost),
    });
    const cut = statusOf(guarded.next());
    leader = 0n;
    expect(await cut).toEqual([14, 'etcdserver: no leader']);
    expect(() => guard.check(call)).toThrow('etcdserver: no leader');
    guard.check(fakeCall());
  });
});

describe('Cluster', () => {
  const member: Member = {id: 9n, name: '', peerURLs: ['http://a:1'], clientURLs: [], isLearner: true};

  it('Ensure that headers have no revision and members their etcd names.', async () => {
    const members = async () => ({header: HEADER, result: [member]});
    const methods = clusterMethods(fakeContext(fakeServer({members})));
    const response = cluster.decodeMemberListResponse(
      await callUnary(methods, cluster.ClusterPath.MemberList, cluster.encodeMemberListRequest({})),
    );
    expect(response.header).toEqual({...HEADER, revision: 0});
    expect(response.members).toEqual([
      {ID: 9n, name: '', peerURLs: ['http://a:1'], clientURLs: [], isLearner: true},
    ]);
  });

  it('Ensure that peer URLs that are none are refused.', async () => {
    const methods = clusterMethods(fakeContext(fakeServer()));
    const add = (peerURLs: string[]) =>
      statusOf(callUnary(methods, cluster.ClusterPath.MemberAdd, cluster.encodeMemberAddRequest({peerURLs})));
    const bad = [3, 'etcdserver: given member URLs are invalid'];
    expect(await add([])).toEqual(bad);
    expect(await add(['a:1'])).toEqual(bad);
    expect(await add(['http://a'])).toEqual(bad);
    expect(await add(['http://a:1/path'])).toEqual(bad);
    expect(await add(['http://a:1'])).toEqual([14, 'etcdserver: server stopped']);
  });
});

describe('Maintenance', () => {
  it('Ensure that Defragment and MoveLeader answer without a header.', async () => {
    const server = fakeServer({defragment: async () => undefined, moveLeader: async () => undefined});
    const methods = maintenanceMethods(fakeContext(server));
    const {Defragment, MoveLeader} = maintenance.MaintenancePath;
    expect((await callUnary(methods, Defragment, Buffer.alloc(0))).length).toBe(0);
    expect((await callUnary(methods, MoveLeader, Buffer.alloc(0))).length).toBe(0);
  });

  it('Ensure that alarms are listed by type and only known actions change them.', async () => {
    const one = {memberId: 1n, alarm: 1};
    const two = {memberId: 2n, alarm: 2};
    const alarmActivate = vi.fn(async () => ({header: HEADER, result: [one]}));
    const alarmDeactivate = vi.fn(async () => ({header: HEADER, result: []}));
    const alarms = async () => ({header: HEADER, result: [one, two]});
    const methods = maintenanceMethods(fakeContext(fakeServer({alarms, alarmActivate, alarmDeactivate})));
    const call = async (input: maintenance.AlarmRequestInput) =>
      maintenance
        .decodeAlarmResponse(
          await callUnary(methods, maintenance.MaintenancePath.Alarm, maintenance.encodeAlarmRequest(input)),
        )
        .alarms.map(({memberID}) => memberID);
    expect(await call({})).toEqual([1n, 2n]);
    expect(await call({alarm: 2})).toEqual([2n]);
    expect(await call({action: 1, alarm: 1, memberID: 5n})).toEqual([1n]);
    expect(alarmActivate).toHaveBeenCalledWith({memberId: 5n, alarm: 1});
    expect(await call({action: 2, memberID: 5n})).toEqual([]);
    expect(alarmDeactivate).toHaveBeenCalledWith({memberId: 5n, alarm: 0});
  });

  it.each([1, 7, 32, 1000])(
    'Ensure that a snapshot in chunks of %i bytes leaves in blobs and a digest.',
    async (size) => {
      const file = Buffer.alloc(300 + 32, 0).map((_, i) => i % 251);
      const chunks = (async function* () {
        for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
      })();
      const blobs = await collect(snapshotBlobs(chunks, {totalBytes: file.length, blobBytes: 128}));
      expect(blobs.map((blob) => blob.length)).toEqual([128, 128, 44, 32]);
      expect(Buffer.concat(blobs).equals(file)).toBe(true);
    },
  );

  it('Ensure that remaining bytes count the database alone.', async () => {
    const file = Buffer.alloc(40_000 + 32, 1);
    const chunks = (async function* () {
      yield file;
    })();
    const snapshot = async () => ({totalBytes: file.length, chunks});
    const methods = maintenanceMethods(fakeContext(fakeServer({snapshot})));
    const method = methods.find(({path}) => path === maintenance.MaintenancePath.Snapshot);
    if (method?.kind !== 'serverStream') throw new Error('Snapshot is a stream');
    const parts = (await collect(method.handle({}, fakeCall()))).map((part) =>
      maintenance.decodeSnapshotResponse(method.encode(part)),
    );
    expect(parts.map((part) => [part.blob.length, part.remainingBytes])).toEqual([
      [32_768, 7_232],
      [7_232, 0],
      [32, 0],
    ]);
    expect(parts[0].version).toMatch(/^3\.\d+\.\d+$/);
  });

  it('Ensure that the status tells a missing leader and every alarm in the words of etcd.', async () => {
    const facts = {
      version: '3.6.0',
      dbSize: 1,
      dbSizeInUse: 1,
      dbSizeQuota: 0,
      leader: 0n,
      raftIndex: 5,
      raftTerm: 2,
      raftAppliedIndex: 4,
      alarms: [
        {memberId: 7n, alarm: 1},
        {memberId: 2n ** 64n - 1n, alarm: 2},
      ],
      isLearner: false,
      storageVersion: '3.6.0',
    };
    const errorsOf = async (leader: bigint) => {
      const status = async () => ({header: HEADER, result: {...facts, leader}});
      const methods = maintenanceMethods(fakeContext(fakeServer({status})));
      const path = maintenance.MaintenancePath.Status;
      return maintenance.decodeStatusResponse(await callUnary(methods, path, Buffer.alloc(0))).errors;
    };
    const alarms = ['memberID:7 alarm:NOSPACE ', 'memberID:18446744073709551615 alarm:CORRUPT '];
    expect(await errorsOf(0n)).toEqual(['etcdserver: no leader', ...alarms]);
    expect(await errorsOf(7n)).toEqual(alarms);
  });
});

describe('Auth and health', () => {
  it('Ensure that a server without auth says so.', async () => {
    const methods = authMethods(fakeContext(fakeServer()));
    expect(await statusOf(callUnary(methods, auth.AuthPath.Authenticate, Buffer.alloc(0)))).toEqual([
      9,
      'etcdserver: authentication is not enabled',
    ]);
    const status = auth.decodeAuthStatusResponse(
      await callUnary(methods, auth.AuthPath.AuthStatus, Buffer.alloc(0)),
    );
    expect(status).toEqual({header: HEADER, enabled: false, authRevision: 1});
  });

  it('Ensure that the empty service serves and others are unknown.', async () => {
    const methods = healthMethods(fakeContext(fakeServer()));
    const check = (service: string) =>
      callUnary(methods, health.HealthPath.Check, health.encodeHealthCheckRequest({service}));
    expect(health.decodeHealthCheckResponse(await check('')).status).toBe(1);
    expect(await statusOf(check('other'))).toEqual([5, 'unknown service']);
  });
});
