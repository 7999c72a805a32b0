/** Clients of a cluster that loses members: who asked for a leader is told, others find the members that are left. */

import {afterEach, describe, expect, it} from 'vitest';
import {EtcdClient} from '../../src/transport/client/etcd-client.ts';
import type {GrpcError} from '../../src/transport/http2/grpc-status.ts';
import type {WatchResponse} from '../../src/transport/proto/generated/watch.ts';
import {eventually} from './eventually.ts';
import type {Program} from './member-process.ts';
import {ProcessCluster} from './process-cluster.ts';

const bytes = (text: string) => Buffer.from(text);
const clients: EtcdClient[] = [];
let cluster: ProcessCluster | undefined;

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await cluster?.destroy();
});

function connect(endpoints: readonly string[]): EtcdClient {
  const client = new EtcdClient({endpoints, commandTimeoutMs: 10_000});
  clients.push(client);
  return client;
}

const failure = (promise: Promise<unknown>): Promise<[number, string]> =>
  promise.then(
    () => [0, 'OK'],
    (error: GrpcError) => [error.status, error.message],
  );

describe.each<Program>(['etcd', 'kvd'])('clients of a shrinking cluster of %s', (program) => {
  it('Ensure that a member without a leader refuses who asks for one, ends their streams, and serves local reads.', async () => {
    cluster = await ProcessCluster.start({program, size: 3});
    const [first, second, third] = cluster.members;
    const client = connect([first.endpoint]);
    await client.kv.put({key: bytes('a'), value: bytes('1')});
    const {ID} = await client.lease.grant({TTL: 60});
    const bare = client.watch({key: bytes('a')}, {createdNotify: true});
    const led = client.watch({key: bytes('a')}, {createdNotify: true, requireLeader: true});
    const ledResponses = led[Symbol.asyncIterator]();
    const bareResponses = bare[Symbol.asyncIterator]();
    await Promise.all([ledResponses.next(), bareResponses.next()]);
    await Promise.all([second.kill(), third.kill()]);
    await eventually(async () => (await client.maintenance.status()).leader === 0n, {what: 'no leader'});
    const noLeader = [14, 'etcdserver: no leader'];
    expect(await failure(client.kv.put({key: bytes('a')}, {requireLeader: true}))).toEqual(noLeader);
    expect((await client.kv.range({key: bytes('a'), serializable: true})).count).toBe(1);
    // The client hides the break and waits for the leader: what it missed comes when there is one again.
    const missed: Promise<WatchResponse | undefined> = ledResponses
      .next()
      .then(({value}) => value ?? undefined);
    await Promise.all([second.start(), third.start(), first.ready()]);
    await client.kv.put({key: bytes('a'), value: bytes('2')});
    expect(bytes('2').equals((await missed)?.events[0].kv?.value ?? bytes(''))).toBe(true);
    const same = (await bareResponses.next()).value?.events[0].kv?.value;
    expect(bytes('2').equals(same ?? bytes(''))).toBe(true);
    expect((await client.lease.keepAliveOnce(ID)).TTL).toBe(60);
  });

  it('Ensure that reads, writes, watches and locks go on over the members that are left.', async () => {
    cluster = await ProcessCluster.start({program, size: 3});
    const client = connect(cluster.members.map(({endpoint}) => endpoint));
    const session = await client.session({ttlSeconds: 60});
    const mutex = client.mutex(session, 'm');
    await mutex.lock();
    const watcher = client.watch({key: bytes('k')}, {createdNotify: true});
    const responses = watcher[Symbol.asyncIterator]();
    await responses.next();
    // The one that all of it hangs on.
    const [member] = cluster.members;
    await member.kill();
    await eventually(
      async () => {
        await client.kv.put({key: bytes('k'), value: bytes('after')}, {timeoutMs: 2_000});
        return true;
      },
      {what: 'a write with one member down'},
    );
    expect(bytes('after').equals((await client.kv.range({key: bytes('k')})).kvs[0].value)).toBe(true);
    expect(bytes('after').equals((await responses.next()).value?.events[0].kv?.value ?? bytes(''))).toBe(
      true,
    );
    expect(session.lost.aborted).toBe(false);
    await mutex.unlock();
    await session.close();
  });

  it('Ensure that a new client passes over a member that hangs, for writes, watches and backups, too.', async () => {
    cluster = await ProcessCluster.start({program, size: 3});
    const [hanging, ...others] = cluster.members;
    await connect([hanging.endpoint]).kv.put({key: bytes('k'), value: bytes('before')});
    hanging.signal('SIGSTOP');
    const endpoints = cluster.members.map(({endpoint}) => endpoint);
    // Whoever of them led: the others elect a leader first.
    const able = connect(others.map(({endpoint}) => endpoint));
    await eventually(async () => (await able.kv.range({key: bytes('k')}, {timeoutMs: 2_000})).count === 1, {
      what: 'a leader among the others',
    });
    const put = connect(endpoints).kv.put({key: bytes('k'), value: bytes('after')});
    await expect(put).resolves.toBeDefined();
    const watcher = connect(endpoints).watch({key: bytes('k')}, {createdNotify: true});
    expect((await watcher[Symbol.asyncIterator]().next()).value?.created).toBe(true);
    for await (const {blob} of connect(endpoints).maintenance.snapshot()) {
      expect(blob.length).toBeGreaterThan(0);
      break;
    }
    // Nobody else to turn to: the call without a deadline ends by the time-out for dialling.
    const alone = connect([hanging.endpoint]).maintenance.snapshot();
    await expect(alone[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      status: 14,
      message: expect.stringContaining('no answer in 2000 ms'),
    });
    hanging.signal('SIGCONT');
  });
});
