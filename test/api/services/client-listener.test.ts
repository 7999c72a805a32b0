/** The client port as a whole, on real sockets and a server that the tests fill in. */

import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import {connect as connectHttp2} from 'node:http2';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, describe, expect, it, vi} from 'vitest';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import type {Logger} from '../../../src/engine/ports.ts';
import {AlarmType, type Event} from '../../../src/engine/types.ts';
import type {WatchResponse} from '../../../src/engine/watch/watch-response.ts';
import {ClientListener} from '../../../src/transport/api/client-listener.ts';
import type {ServerFace} from '../../../src/transport/api/services/service.ts';
import {EtcdClient} from '../../../src/transport/client/etcd-client.ts';
import type {GrpcError} from '../../../src/transport/http2/grpc-status.ts';
import {fakeServer, HEADER} from './fake-server.ts';

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

const running: {close(): void}[] = [];
afterEach(() => {
  for (const one of running.splice(0)) one.close();
});

const emptyRange = async () => ({header: HEADER, result: {kvs: [], more: false, count: 0}});

async function listen(calls: Partial<ServerFace> = {}, urls: readonly string[] = ['http://127.0.0.1:0']) {
  const metrics = new MetricRegistry();
  const listener = new ClientListener({
    server: fakeServer({range: emptyRange, ...calls}),
    urls,
    maxRequestBytes: 1_000,
    maxTxnOps: 128,
    metrics,
    exposition: () => metrics.exposition(),
    logger: silent,
  });
  running.push(listener);
  const [url] = await listener.start();
  return {listener, url, metrics};
}

function connect(url: string): EtcdClient {
  const client = new EtcdClient({endpoints: [url], commandTimeoutMs: 5_000});
  running.push(client);
  return client;
}

const failure = (promise: Promise<unknown>): Promise<[number, string]> =>
  promise.then(
    () => [0, 'OK'],
    (error: GrpcError) => [error.status, error.message],
  );

/** A hub whose one stream hands out what `push` puts in. */
function scriptedHub() {
  const waiting: WatchResponse[] = [];
  const asked: unknown[] = [];
  let readable: () => void = () => undefined;
  let closed = 0;
  const stream = {
    backlog: 0,
    isClosed: false,
    create: (request: unknown) => asked.push(request),
    cancel: (id: bigint) => asked.push(id),
    requestProgress: () => asked.push('progress'),
    take: () => waiting.shift(),
    close: () => {
      closed++;
    },
  };
  const hub = {
    openStream: (options: {readable: () => void}) => {
      readable = options.readable;
      return stream;
    },
  };
  const push = (response: Partial<WatchResponse>) => {
    const base = {created: false, canceled: false, compactRevision: 0, cancelReason: '', fragment: false};
    waiting.push({...base, revision: 9, watchId: 0n, events: [], ...response});
    readable();
  };
  return {watchHub: hub as unknown as ServerFace['watchHub'], push, asked, closed: () => closed};
}

describe('client port', () => {
  it('Ensure that gRPC and HTTP/1.1 are served side by side.', async () => {
    const {url} = await listen();
    const client = connect(url);
    expect((await client.kv.range({key: Buffer.from('a')})).header).toEqual(HEADER);
    const response = await fetch(`${url}/version`);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const version = (await response.json()) as Record<string, string>;
    expect(Object.keys(version)).toEqual(['etcdserver', 'etcdcluster', 'storage', 'kvd']);
    for (const part of [version.etcdserver, version.etcdcluster, version.storage]) {
      expect(part).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });

  it('Ensure that plain requests over HTTP/2 get the same answers.', async () => {
    const {url} = await listen();
    const session = connectHttp2(url);
    running.push({close: () => session.destroy()});
    const request = session.request({':path': '/health'});
    let status: number | undefined;
    request.on('response', (headers) => {
      status = headers[':status'];
    });
    let body = '';
    for await (const chunk of request) body += chunk;
    expect([status, body]).toEqual([200, '{"health":"true","reason":""}']);
  });

  it("Ensure that an unknown path is etcd's 404 and a wrong verb 405.", async () => {
    const {url} = await listen();
    const missing = await fetch(`${url}/nothing`);
    expect([missing.status, await missing.text()]).toEqual([404, '404 page not found\n']);
    const posted = await fetch(`${url}/health`, {method: 'POST', body: 'x'});
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET']);
    const options = await fetch(`${url}/health`, {method: 'OPTIONS'});
    expect([options.status, await options.text()]).toEqual([200, '']);
  });

  it('Ensure that calls are counted under the names of etcd.', async () => {
    const {url} = await listen();
    const client = connect(url);
    await client.kv.range({key: Buffer.from('a')});
    await failure(client.kv.put({key: Buffer.from('a')}));
    const text = await (await fetch(`${url}/metrics`)).text();
    const labels = (method: string, code = '') =>
      `{${code}grpc_method="${method}",grpc_service="etcdserverpb.KV",grpc_type="unary"}`;
    expect(text).toContain(`grpc_server_started_total${labels('Range')} 1\n`);
    expect(text).toContain(`grpc_server_handled_total${labels('Range', 'grpc_code="OK",')} 1\n`);
    expect(text).toContain(`grpc_server_handled_total${labels('Put', 'grpc_code="Unavailable",')} 1\n`);
    expect(text).toContain(`grpc_server_handled_total${labels('Txn', 'grpc_code="OK",')} 0\n`);
    expect(text).toContain('etcd_server_client_requests_total{client_api_version="3.7",type="unary"} 2\n');
    expect(text).toMatch(/^etcd_network_client_grpc_received_bytes_total [1-9]/m);
  });

  it('Ensure that messages beyond the limit and unknown methods are refused, and the connection goes on.', async () => {
    const {url} = await listen();
    const client = connect(url);
    const [status, message] = await failure(
      client.kv.put({key: Buffer.from('a'), value: Buffer.alloc(600_000)}),
    );
    expect(status).toBe(8);
    expect(message).toMatch(/received message larger than max \(\d+ vs\. 525288\)/);
    expect((await failure(client.maintenance.downgrade({})))[0]).toBe(12);
    expect((await client.kv.range({key: Buffer.from('a')})).header).toEqual(HEADER);
  });

  it('Ensure that a learner serves status, serializable reads and snapshots only.', async () => {
    const status = async () => {
      throw new Error('asked');
    };
    const {url} = await listen({isLearner: () => true, status});
    const client = connect(url);
    const refused = [9, 'etcdserver: rpc not supported for learner'];
    expect(await failure(client.kv.put({key: Buffer.from('a')}))).toEqual(refused);
    expect(await failure(client.kv.range({key: Buffer.from('a')}))).toEqual(refused);
    expect(await failure(client.cluster.memberList({}))).toEqual(refused);
    expect(await failure(client.watch({})[Symbol.asyncIterator]().next())).toEqual(refused);
    expect(await failure(client.kv.range({key: Buffer.from('a'), serializable: true}))).toEqual([0, 'OK']);
    expect(await failure(client.maintenance.status())).toEqual([13, 'asked']);
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([
      503,
      '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n' +
        '[-]non_learner failed: etcdserver: rpc not supported for learner\n',
    ]);
  });

  it('Ensure that who asks for a leader is refused while there is none.', async () => {
    const {url} = await listen({leader: () => 0n});
    const client = connect(url);
    expect(await failure(client.kv.put({key: Buffer.from('a')}, {requireLeader: true}))).toEqual([
      14,
      'etcdserver: no leader',
    ]);
    const health = await fetch(`${url}/health`);
    expect([health.status, await health.text()]).toEqual([
      503,
      '{"health":"false","reason":"RAFT NO LEADER"}',
    ]);
    expect((await fetch(`${url}/health?serializable=true`)).status).toBe(200);
  });

  it('Ensure that health names alarms and failed reads, and leaves out what it is told to.', async () => {
    const noSpace = {memberId: 1n, alarm: AlarmType.noSpace};
    const range = async () => {
      throw new Error('no disk');
    };
    let alarmed = true;
    const alarms = async () => ({header: HEADER, result: alarmed ? [noSpace] : []});
    const {url} = await listen({alarms, range});
    const reason = async (query = '') => {
      const response = await fetch(`${url}/health${query}`);
      return ((await response.json()) as {reason: string}).reason;
    };
    expect(await reason()).toBe('ALARM NOSPACE');
    expect(await reason('?exclude=CORRUPT')).toBe('ALARM NOSPACE');
    expect(await reason('?exclude=CORRUPT&exclude=NOSPACE')).toBe('RANGE ERROR:no disk');
    alarmed = false;
    expect(await reason()).toBe('RANGE ERROR:no disk');
    const live = await fetch(`${url}/livez`);
    expect([live.status, await live.text()]).toEqual([503, '[-]serializable_read failed: no disk\n']);
  });

  it('Ensure that probes answer whole, in part and at length.', async () => {
    const {url} = await listen();
    const get = async (path: string) => {
      const response = await fetch(`${url}${path}`);
      return [response.status, await response.text()];
    };
    expect(await get('/livez')).toEqual([200, 'ok\n']);
    expect(await get('/readyz/linearizable_read')).toEqual([200, 'ok\n']);
    expect(await get('/livez?verbose')).toEqual([200, '[+]serializable_read ok\nok\n']);
    const left = '/readyz?verbose&exclude=non_learner&exclude=nothing&exclude=linearizable_read';
    expect(await get(left)).toEqual([200, '[+]data_corruption ok\n[+]serializable_read ok\nok\n']);
    expect((await get('/livez/nothing'))[0]).toBe(404);
  });

  it('Ensure that watch requests reach the hub and its responses the client, in order and with a header.', async () => {
    const {watchHub, push, asked, closed} = scriptedHub();
    const {url} = await listen({watchHub});
    const client = connect(url);
    const request = {
      key: Buffer.from('a'),
      rangeEnd: Buffer.from('b'),
      startRevision: 3,
      filters: [1],
      prevKv: true,
    };
    const watcher = client.watch(request, {createdNotify: true});
    const responses = watcher[Symbol.asyncIterator]();
    const created = responses.next();
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(asked[0]).toMatchObject({...request, watchId: 0n, fragment: false, progressNotify: false});
    push({created: true});
    expect((await created).value?.header).toEqual({...HEADER, revision: 9});
    const kv = {
      key: Buffer.from('a'),
      value: Buffer.from('v'),
      createRevision: 10,
      modRevision: 10,
      version: 1,
      lease: 0n,
    };
    const event: Event = {type: 0, kv};
    push({revision: 10, events: [event]});
    push({revision: 0, canceled: true, compactRevision: 12});
    expect((await responses.next()).value?.events).toEqual([{...event, prevKv: undefined}]);
    expect((await responses.next()).value).toMatchObject({canceled: true, compactRevision: 12});
    expect((await responses.next()).done).toBe(true);
    await vi.waitFor(() => expect(closed()).toBe(1));
  });

  it('Ensure that stopping ends streams at once, with a status that sends clients elsewhere.', async () => {
    const {watchHub, push} = scriptedHub();
    const {url, listener} = await listen({watchHub});
    const client = connect(url);
    const stream = client.watch({key: Buffer.from('a')}, {createdNotify: true})[Symbol.asyncIterator]();
    const created = stream.next();
    push({created: true});
    expect((await created).value?.created).toBe(true);
    const before = performance.now();
    await listener.stop(10_000);
    expect(performance.now() - before).toBeLessThan(5_000);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it('Ensure that a taken port is an error that names it and leaves nothing open.', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    running.push({close: () => other.close()});
    const {port} = other.address() as {port: number};
    await expect(listen({}, ['http://127.0.0.1:0', `http://127.0.0.1:${port}`])).rejects.toThrow(
      `cannot listen on http://127.0.0.1:${port}: the address is already in use; stop the program that has it, or ` +
        'listen elsewhere (--listen-client-urls)',
    );
    await expect(listen({}, ['unix:///does/not/exist/client.sock'])).rejects.toThrow(
      'cannot listen on unix:///does/not/exist/client.sock: the socket cannot be made there; see that its folder exists',
    );
    await expect(listen({}, ['https://127.0.0.1:0'])).rejects.toThrow('certificate');
    await expect(listen({}, ['127.0.0.1:0'])).rejects.toThrow('http://');
  });

  it('Ensure that a unix socket is served and a stale one replaced.', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kvd-unix-'));
    const path = join(folder, 'client.sock');
    try {
      const {url} = await listen({}, [`unix://${path}`]);
      expect((await connect(url).kv.range({key: Buffer.from('a')})).header).toEqual(HEADER);
      await expect(listen({}, [`unix://${path}`])).rejects.toThrow('already in use');
      expect(existsSync(path)).toBe(true);
    } finally {
      for (const one of running.splice(0)) one.close();
      rmSync(folder, {recursive: true, force: true});
    }
  });
});
