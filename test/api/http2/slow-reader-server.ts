/**
 * A server in a process of its own, so that its memory can be told from its client's: the echo service, and kvd's own
 * services over a member whose 100 MB are made when they are read. Prints its port.
 */

import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {DistantKeyValue} from '../../../src/engine/state-machine/mvcc/distant-key-value.ts';
import {encodeKeyValue} from '../../../src/engine/state-machine/mvcc/key-value-record.ts';
import {kvMethods} from '../../../src/transport/api/services/kv.ts';
import {maintenanceMethods} from '../../../src/transport/api/services/maintenance.ts';
import type {GrpcMethod} from '../../../src/transport/http2/grpc-method.ts';
import {fakeContext, fakeServer, HEADER} from '../services/fake-server.ts';
import {echoService, serve} from './echo-service.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const VALUE_BYTES = 1_000_000;
const COUNT = 100;

/** What a record of this revision is, made anew each time. */
function record(revision: number): Uint8Array {
  const value = Buffer.alloc(VALUE_BYTES, revision);
  const key = Buffer.from(`key/${revision}`);
  return encodeKeyValue({key, value, createRevision: revision, modRevision: revision, version: 1, lease: 0n});
}

const kvs = Array.from({length: COUNT}, (_, i) => {
  const modRevision = i + 2;
  const bytes = record(modRevision).length;
  return new DistantKeyValue({modRevision, sub: 0, bytes, readAgain: () => record(modRevision)});
});

const server = fakeServer({
  range: async () => ({header: HEADER, result: {kvs, more: false, count: COUNT}}),
  async *rangeStream() {
    for (const kv of kvs) yield {header: HEADER, result: {kvs: [kv], more: false, count: 0}};
    yield {header: HEADER, result: {kvs: [], more: false, count: COUNT}};
  },
  snapshot: async () => {
    async function* chunks() {
      // About what the real ones are, and no multiple of what is sent.
      for (let i = 0; i < 2000; i++) yield Buffer.alloc((COUNT * VALUE_BYTES) / 2000, i);
      yield Buffer.alloc(32);
    }
    return {totalBytes: COUNT * VALUE_BYTES + 32, chunks: chunks()};
  },
});

/** Bytes that the process holds, after a collection. */
const held: GrpcMethod = {
  kind: 'unary',
  path: '/test.Memory/Held',
  decode: (bytes) => bytes,
  encode: (bytes) => bytes,
  handle: async () => {
    // Buffers are given back beside the collector, a moment after it.
    for (let i = 0; i < 3; i++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const {heapUsed, external} = process.memoryUsage();
    return Buffer.from(String(heapUsed + external));
  },
};

const context = fakeContext(server);
const methods = [...echoService().methods, ...kvMethods(context), ...maintenanceMethods(context), held];
const served = await serve({methods});
process.stdout.write(`${served.port}\n`);
