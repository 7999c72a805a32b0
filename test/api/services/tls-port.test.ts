/** The whole client port over TLS: gRPC clients and curl by what ALPN gives them, and a plain port beside it. */

import {execFile, execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Client, credentials} from '@grpc/grpc-js';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {ClientListener} from '../../../src/transport/api/client-listener.ts';
import {EtcdClient} from '../../../src/transport/client/etcd-client.ts';
import * as kv from '../../../src/transport/proto/generated/kv.ts';
import {silent} from '../http2/echo-service.ts';
import {fakeServer, HEADER} from './fake-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvd-tls-'));
const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
let listener: ClientListener;
let urls: readonly string[];
let ca: Buffer;

beforeAll(async () => {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', keyFile, '-out', certFile, ...subject], {
    stdio: 'ignore',
  });
  ca = readFileSync(certFile);
  const metrics = new MetricRegistry();
  listener = new ClientListener({
    server: fakeServer({range: async () => ({header: HEADER, result: {kvs: [], more: false, count: 5}})}),
    urls: ['https://localhost:0', 'http://localhost:0'],
    tls: {key: readFileSync(keyFile), cert: ca},
    maxRequestBytes: 1_572_864,
    maxTxnOps: 128,
    metrics,
    exposition: () => metrics.exposition(),
    logger: silent,
  });
  urls = await listener.start();
});

afterAll(() => {
  listener.close();
  rmSync(folder, {recursive: true, force: true});
});

function curl(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const all = ['-sS', '--cacert', certFile, '-w', ' %{http_version} %{http_code}', ...args];
    execFile('curl', all, {timeout: 20_000}, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
}

describe('client port over TLS', () => {
  it('Ensure that grpc-js is served with TLS, and beside it without.', async () => {
    const asIs = (bytes: Buffer): Buffer => bytes;
    const request = Buffer.from(kv.encodeRangeRequest({key: Buffer.from('k')}));
    for (const [url, secret] of [
      [urls[0], credentials.createSsl(ca)],
      [urls[1], credentials.createInsecure()],
    ] as const) {
      const client = new Client(url.replace(/^https?:\/\//, ''), secret);
      const answer = await new Promise<Buffer>((resolve, reject) => {
        client.makeUnaryRequest(kv.KVPath.Range, asIs, asIs, request, (error, response) =>
          error === null ? resolve(response!) : reject(error),
        );
      });
      client.close();
      expect(kv.decodeRangeResponse(answer)).toMatchObject({header: HEADER, count: 5});
    }
  });

  it('Ensure that curl gets HTTP/2 or HTTP/1.1 by ALPN, and the same answer.', async () => {
    const url = `${urls[0]}/version`;
    const [one, two, none] = await Promise.all([
      curl('--http1.1', url),
      curl('--http2', url),
      curl('--no-alpn', url),
    ]);
    expect(one).toMatch(/"etcdserver":.* 1\.1 200$/);
    expect(two).toBe(one.replace(/ 1\.1 200$/, ' 2 200'));
    expect(none).toBe(one);
  });

  it('Ensure that our own client is served, and refuses a server whose certificate it cannot check.', async () => {
    const options = {endpoints: [urls[0]], commandTimeoutMs: 10_000};
    const client = new EtcdClient({...options, tls: {ca}});
    expect((await client.kv.range({key: Buffer.from('k')})).count).toBe(5);
    client.close();
    const stranger = new EtcdClient({...options, commandTimeoutMs: 1_000});
    await expect(stranger.kv.range({key: Buffer.from('k')})).rejects.toThrow(/certificate|deadline/);
    stranger.close();
  });
});
