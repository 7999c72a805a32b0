/** Answers larger than usual over the wire, to a gRPC client that is not ours: ranges, range streams, gzip, errors amid them. */

import {Client, compressionAlgorithms, credentials, Metadata, type ServiceError, status} from '@grpc/grpc-js';
import {afterEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {DistantKeyValue} from '../../../src/engine/state-machine/mvcc/distant-key-value.ts';
import {encodeKeyValue} from '../../../src/engine/state-machine/mvcc/key-value-record.ts';
import type {RangeResult} from '../../../src/engine/types.ts';
import {ClientListener} from '../../../src/transport/api/client-listener.ts';
import type {ServerFace} from '../../../src/transport/api/services/service.ts';
import * as kv from '../../../src/transport/proto/generated/kv.ts';
import {silent} from '../http2/echo-service.ts';
import {fakeServer, HEADER} from './fake-server.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const asIs = (bytes: Buffer): Buffer => bytes;

async function connect(calls: Partial<ServerFace>, options: object = {}): Promise<Client> {
  const metrics = new MetricRegistry();
  const listener = new ClientListener({
    server: fakeServer(calls),
    urls: ['http://127.0.0.1:0'],
    maxRequestBytes: 1_572_864,
    maxTxnOps: 128,
    metrics,
    exposition: () => metrics.exposition(),
    logger: silent,
  });
  const [url] = await listener.start();
  const unlimited = {'grpc.max_receive_message_length': -1, ...options};
  const client = new Client(url.replace('http://', ''), credentials.createInsecure(), unlimited);
  stops.push(() => {
    client.close();
    listener.close();
  });
  return client;
}

const ALL = Buffer.from(kv.encodeRangeRequest({key: Buffer.from([0]), rangeEnd: Buffer.from([0])}));

function range(client: Client): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(kv.KVPath.Range, asIs, asIs, ALL, (error, response) =>
      error === null ? resolve(response!) : reject(error),
    );
  });
}

/** Key-values of which the first are in memory and the others are read when they are sent. */
function stored(sizes: readonly number[], kept: number, readAgain?: () => Uint8Array): RangeResult {
  const kvs = sizes.map((size, i) => {
    const fields = {
      key: Buffer.from(`k${i}`),
      value: Buffer.alloc(size, i),
      createRevision: 2,
      modRevision: i + 2,
    };
    const encoded = encodeKeyValue({...fields, version: 1, lease: BigInt(-i)});
    if (i < kept) return {...fields, version: 1, lease: BigInt(-i), encoded};
    const {modRevision} = fields;
    return new DistantKeyValue({
      modRevision,
      sub: 0,
      bytes: encoded.length,
      readAgain: readAgain ?? (() => encoded),
    });
  });
  return {kvs, more: true, count: sizes.length + 1};
}

describe('large answers', () => {
  it.each([
    ['values of a megabyte', Array(10).fill(1_000_000), 1],
    ['many small ones', Array(30_000).fill(100), 10_000],
    ['sizes around that of a part', Array.from({length: 40}, (_, i) => 65_536 - 20 + i), 0],
    ['empty ones amid large ones', Array.from({length: 3000}, (_, i) => (i % 2) * 2_000), 100],
  ])(
    'Ensure that a range made while it is sent has the bytes of one made at once: %s.',
    async (_name, sizes, kept) => {
      const result = stored(sizes, kept);
      const client = await connect({range: async () => ({header: HEADER, result})});
      const whole = kv.encodeRangeResponse({header: HEADER, ...result});
      expect(whole.length).toBeGreaterThan(1024 * 1024);
      expect((await range(client)).equals(whole)).toBe(true);
    },
  );

  it('Ensure that a client that compresses gets a large range compressed.', async () => {
    const result = stored(Array(10).fill(1_000_000), 1);
    const gzip = {'grpc.default_compression_algorithm': compressionAlgorithms.gzip};
    const client = await connect({range: async () => ({header: HEADER, result})}, gzip);
    expect((await range(client)).equals(kv.encodeRangeResponse({header: HEADER, ...result}))).toBe(true);
  });

  it('Ensure that a compaction amid a large range ends the call and nothing else.', async () => {
    const gone = () => {
      throw new EngineError({code: 'compacted', compactRevision: 50});
    };
    const results = [stored(Array(10).fill(1_000_000), 2, gone), stored([5], 1)];
    const client = await connect({range: async () => ({header: HEADER, result: results.shift()!})});
    await expect(range(client)).rejects.toMatchObject({code: status.INTERNAL});
    expect(kv.decodeRangeResponse(await range(client)).kvs.length).toBe(1);
  });

  it('Ensure that a range stream arrives in parts, and ends with its error’s code and details.', async () => {
    let isBroken = false;
    const rangeStream = async function* () {
      yield {header: HEADER, result: {...stored([1_000_000], 1), more: false, count: 0}};
      if (isBroken) throw new EngineError({code: 'compacted', compactRevision: 50});
      yield {header: HEADER, result: {...stored([7], 1), more: true, count: 9}};
    };
    const client = await connect({rangeStream});
    const read = (): Promise<[number[], ServiceError | undefined]> =>
      new Promise((resolve) => {
        const sizes: number[] = [];
        const stream = client.makeServerStreamRequest(kv.KVPath.RangeStream, asIs, asIs, ALL, new Metadata());
        stream.on('data', (part: Buffer) => {
          const {rangeResponse} = kv.decodeRangeStreamResponse(part);
          expect(rangeResponse?.header).toEqual(HEADER);
          sizes.push(rangeResponse!.kvs[0].value.length);
        });
        stream.on('error', (error: ServiceError) => resolve([sizes, error]));
        stream.on('end', () => resolve([sizes, undefined]));
      });
    expect(await read()).toEqual([[1_000_000, 7], undefined]);
    isBroken = true;
    const [sizes, error] = await read();
    expect(sizes).toEqual([1_000_000]);
    expect(error).toMatchObject({
      code: status.OUT_OF_RANGE,
      details: 'etcdserver: mvcc: required revision has been compacted',
    });
  });
});
