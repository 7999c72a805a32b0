/** The client against a real etcd and against kvd: every service, fail-over, resumed watches, locks shared with etcdctl. */

import {execFileSync, spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {EtcdClient, type EtcdClientOptions} from '../../src/transport/client/etcd-client.ts';
import {GrpcError, GrpcStatus} from '../../src/transport/http2/grpc-status.ts';
import {freePorts} from '../process/free-ports.ts';
import {cleanEnvironment, MemberProcess, type Program} from '../process/member-process.ts';

let etcd: MemberProcess;
let client: EtcdClient;

const bytes = (text: string) => Buffer.from(text);
const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString();

function connect(options: Partial<EtcdClientOptions> = {}): EtcdClient {
  return new EtcdClient({endpoints: [etcd.endpoint], commandTimeoutMs: 10_000, ...options});
}

async function failure(promise: Promise<unknown>): Promise<GrpcError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GrpcError);
  return error as GrpcError;
}

function etcdctl(...args: string[]): string {
  return execFileSync('etcdctl', ['--endpoints', etcd.endpoint, ...args], {
    encoding: 'utf8',
    env: cleanEnvironment(),
  });
}

describe.each<Program>(['etcd', 'kvd'])('client against %s', (program) => {
  const folder = mkdtempSync(join(tmpdir(), 'kvd-client-'));

  beforeAll(async () => {
    const [clientPort, peerPort] = await freePorts(2);
    const initialCluster = `m=http://127.0.0.1:${peerPort}`;
    etcd = new MemberProcess({program, name: 'm', folder, clientPort, peerPort, initialCluster});
    await etcd.start();
    client = connect();
  });

  afterAll(async () => {
    client?.close();
    await etcd?.kill();
    rmSync(folder, {recursive: true, force: true});
  });

  it('Ensure that keys are put, read, deleted and compared.', async () => {
    const key = bytes('kv/\0binary\xff');
    const put = await client.kv.put({key, value: bytes('one')});
    expect(put.prevKv).toBeUndefined();
    const again = await client.kv.put({key, value: bytes('two'), prevKv: true});
    expect(text(again.prevKv?.value)).toBe('one');
    const {kvs, count} = await client.kv.range({key: bytes('kv/'), rangeEnd: bytes('kv0')});
    expect(count).toBe(1);
    expect(Buffer.compare(kvs[0].key, key)).toBe(0);
    expect(kvs[0]).toMatchObject({
      version: 2,
      createRevision: put.header?.revision,
      modRevision: again.header?.revision,
    });
    const txn = await client.kv.txn({
      compare: [{key, target: 0, version: 2}],
      success: [{requestPut: {key, value: bytes('three')}}, {requestTxn: {success: [{requestRange: {key}}]}}],
    });
    expect(txn.succeeded).toBe(true);
    expect(text(txn.responses[1].responseTxn?.responses[0].responseRange?.kvs[0].value)).toBe('three');
    expect((await client.kv.deleteRange({key, prevKv: true})).prevKvs).toHaveLength(1);
    await client.kv.compact({revision: put.header?.revision ?? 0});
  });

  it("Ensure that errors carry the server's status and text.", async () => {
    expect(await failure(client.kv.range({}))).toMatchObject({
      status: GrpcStatus.invalidArgument,
      message: 'etcdserver: key is not provided',
    });
    expect(await failure(client.kv.range({key: bytes('a'), revision: 2 ** 40}))).toMatchObject({
      status: GrpcStatus.outOfRange,
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
    expect(await failure(client.lease.revoke(0x1234n))).toMatchObject({
      status: GrpcStatus.notFound,
      message: 'etcdserver: requested lease not found',
    });
  });

  it('Ensure that a range comes as a stream, or a clear no from a server that is too old.', async () => {
    await client.kv.put({key: bytes('stream/1'), value: bytes('1')});
    await client.kv.put({key: bytes('stream/2'), value: bytes('2')});
    const stream = client.kv.rangeStream({key: bytes('stream/'), rangeEnd: bytes('stream0')});
    if (program === 'etcd') {
      expect(await failure(stream.next())).toMatchObject({status: GrpcStatus.unimplemented});
      return;
    }
    const values: string[] = [];
    let count = 0;
    for await (const part of stream) {
      values.push(...part.kvs.map((kv) => text(kv.value)));
      count = part.count;
    }
    expect([values, count]).toEqual([['1', '2'], 2]);
  });

  it('Ensure that leases are granted, renewed and found missing.', async () => {
    const {ID, TTL} = await client.lease.grant({TTL: 60});
    expect(TTL).toBe(60);
    await client.kv.put({key: bytes('leased'), lease: ID});
    const info = await client.lease.timeToLive({ID, keys: true});
    expect(info.grantedTTL).toBe(60);
    expect(info.keys.map(text)).toEqual(['leased']);
    expect((await client.lease.keepAliveOnce(ID)).TTL).toBe(60);
    expect((await client.lease.leases()).leases.map((lease) => lease.ID)).toContain(ID);
    await client.lease.revoke(ID);
    expect((await client.lease.timeToLive({ID})).TTL).toBe(-1);
    const answers: number[] = [];
    for await (const answer of client.lease.keepAlive(ID)) answers.push(answer.TTL);
    expect(answers).toEqual([0]);
  });

  it('Ensure that members, status, hashes and alarms are asked of one endpoint.', async () => {
    const {members} = await client.cluster.memberList({});
    expect(members).toHaveLength(1);
    expect(await client.syncEndpoints()).toEqual(members[0].clientURLs);
    const status = await client.maintenance.status({endpoint: etcd.endpoint});
    expect(status.leader).toBe(members[0].ID);
    expect(status.version).toMatch(/^3\.\d+\.\d+$/);
    expect((await client.maintenance.hashKv(0)).hash).toBeGreaterThan(0);
    expect((await client.maintenance.alarm({})).alarms).toEqual([]);
    expect((await client.maintenance.defragment()).header).toBeUndefined();
    const unknown = await failure(client.cluster.memberRemove(0x99n));
    expect(unknown.message).toBe('etcdserver: member not found');
  });

  it('Ensure that a snapshot is the file that its digest says.', async () => {
    const parts: Uint8Array[] = [];
    let remaining = -1;
    for await (const part of client.maintenance.snapshot()) {
      parts.push(part.blob);
      remaining = part.remainingBytes;
    }
    const file = Buffer.concat(parts);
    expect(remaining).toBe(0);
    expect(file.length % 512).toBe(32);
    const digest = createHash('sha256').update(file.subarray(0, -32)).digest();
    expect(file.subarray(-32).equals(digest)).toBe(true);
  });

  it('Ensure that a watch begins with created, then shows every event with its predecessor.', async () => {
    const watcher = client.watch({key: bytes('watched'), prevKv: true}, {createdNotify: true});
    const responses = watcher[Symbol.asyncIterator]();
    expect((await responses.next()).value?.created).toBe(true);
    await client.kv.put({key: bytes('watched'), value: bytes('1')});
    await client.kv.deleteRange({key: bytes('watched')});
    const first = (await responses.next()).value?.events ?? [];
    const second = (await responses.next()).value?.events ?? [];
    expect([...first, ...second].map(({type, prevKv}) => [type, text(prevKv?.value)])).toEqual([
      [0, ''],
      [1, '1'],
    ]);
    await watcher.requestProgress();
    const progress = (await responses.next()).value;
    expect(progress?.events).toEqual([]);
    expect(progress?.header?.revision).toBeGreaterThan(0);
    watcher.close();
    expect((await responses.next()).done).toBe(true);
  });

  it('Ensure that a watch below the compaction ends with a canceled response.', async () => {
    const {header} = await client.kv.put({key: bytes('old'), value: bytes('1')});
    await client.kv.put({key: bytes('old'), value: bytes('2')});
    await client.kv.compact({revision: (header?.revision ?? 0) + 1});
    const seen: number[] = [];
    for await (const response of client.watch({key: bytes('old'), startRevision: 1})) {
      expect(response.canceled).toBe(true);
      seen.push(response.compactRevision);
    }
    expect(seen).toEqual([(header?.revision ?? 0) + 1]);
  });

  it('Ensure that a watch goes on where it was when its server is killed and comes back.', async () => {
    const own = connect();
    const end = new AbortController();
    const watcher = own.watch({key: bytes('resumed')}, {createdNotify: true, signal: end.signal});
    const responses = watcher[Symbol.asyncIterator]();
    await responses.next();
    await client.kv.put({key: bytes('resumed'), value: bytes('before')});
    expect(text((await responses.next()).value?.events[0].kv?.value)).toBe('before');
    await etcd.kill();
    await etcd.start();
    await client.kv.put({key: bytes('resumed'), value: bytes('after')});
    expect(text((await responses.next()).value?.events[0].kv?.value)).toBe('after');
    end.abort();
    expect((await responses.next()).done).toBe(true);
    own.close();
  });

  it('Ensure that an endpoint which refuses or hangs is passed over.', async () => {
    const [refusing] = await freePorts(1);
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address() as {port: number};
    const own = connect({endpoints: [`127.0.0.1:${refusing}`, etcd.clientUrl]});
    await own.kv.put({key: bytes('found'), value: bytes('1')});
    expect((await own.kv.range({key: bytes('found')})).count).toBe(1);
    own.close();
    // One that takes connections and says nothing: the call's own deadline ends it.
    const hanging = connect({endpoints: [`127.0.0.1:${address.port}`], commandTimeoutMs: 300});
    expect(await failure(hanging.kv.put({key: bytes('x')}))).toMatchObject({
      status: GrpcStatus.deadlineExceeded,
      message: 'context deadline exceeded',
    });
    hanging.close();
    silent.close();
    const nobody = connect({endpoints: [`127.0.0.1:${refusing}`], commandTimeoutMs: 300});
    expect((await failure(nobody.kv.range({key: bytes('x')}))).status).toBe(GrpcStatus.deadlineExceeded);
    nobody.close();
    const wrong = connect({endpoints: ['no port:here']});
    expect((await failure(wrong.kv.range({key: bytes('x')}))).status).toBe(GrpcStatus.invalidArgument);
    wrong.close();
  });

  it('Ensure that a user and password do no harm where auth is off.', async () => {
    const own = connect({user: 'somebody', password: 'secret'});
    await own.kv.put({key: bytes('auth'), value: bytes('off')});
    const refused = await failure(own.auth.authenticate('somebody', 'secret'));
    expect(refused).toMatchObject({
      status: GrpcStatus.failedPrecondition,
      message: 'etcdserver: authentication is not enabled',
    });
    own.close();
  });

  it('Ensure that a cancelled call says so.', async () => {
    const end = new AbortController();
    const session = await client.session({ttlSeconds: 10});
    const other = await client.session({ttlSeconds: 10});
    const held = client.mutex(session, 'cancel');
    await held.lock();
    const waiting = client.mutex(other, 'cancel');
    const locking = failure(waiting.lock({signal: end.signal}));
    end.abort();
    expect((await locking).status).toBe(GrpcStatus.cancelled);
    expect((await client.kv.range({key: waiting.key})).count).toBe(0);
    await held.unlock();
    await session.close();
    await other.close();
  });

  it("Ensure that a lock excludes etcdctl's, and etcdctl's ours.", async () => {
    const session = await client.session({ttlSeconds: 10});
    const mutex = client.mutex(session, 'shared');
    await mutex.lock();
    expect(mutex.key.toString()).toBe(`shared/${session.leaseId.toString(16)}`);
    const other = spawn('etcdctl', ['--endpoints', etcd.endpoint, 'lock', 'shared', 'echo', 'locked'], {
      env: cleanEnvironment(),
    });
    const output: string[] = [];
    other.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const contenders = client.watch({key: bytes('shared/'), rangeEnd: bytes('shared0'), startRevision: 1});
    for await (const {events} of contenders) {
      if (events.some(({kv}) => kv !== undefined && !mutex.key.equals(kv.key))) break;
    }
    expect(output.join('')).toBe('');
    await mutex.unlock();
    await once(other, 'close');
    expect(output.join('')).toBe('locked\n');
    await session.close();
  });

  it('Ensure that an election has one leader, whose words are observed by us and by etcdctl.', async () => {
    const session = await client.session({ttlSeconds: 10});
    const election = client.election(session, 'office');
    const observed = client.election(undefined, 'office').observe();
    const first = observed.next();
    await election.campaign('hello');
    expect(text((await first).value?.value)).toBe('hello');
    await election.proclaim('again');
    expect(text((await observed.next()).value?.value)).toBe('again');
    expect(etcdctl('get', '--print-value-only', election.key?.toString() ?? '')).toBe('again\n');
    await election.resign();
    expect((await failure(client.election(undefined, 'office').leader())).message).toBe(
      'election: no leader',
    );
    await observed.return();
    await session.close();
  });

  it('Ensure that a session whose lease is revoked is told.', async () => {
    const session = await client.session({ttlSeconds: 2});
    await client.lease.revoke(session.leaseId);
    await new Promise<void>((resolve) => {
      session.lost.addEventListener('abort', () => resolve(), {once: true});
    });
    expect(session.lost.aborted).toBe(true);
    await session.abandon();
  });
});
