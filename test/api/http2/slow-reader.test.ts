/** 100 MB to a client that reads slowly: what the server holds meanwhile, measured in the server's own process. */

import {type ChildProcess, spawn} from 'node:child_process';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {decodeRangeResponse, encodeRangeRequest} from '../../../src/transport/proto/generated/kv.ts';
import {F, frame, message, openStream, RawPeer, settings, T, uint32} from './raw-peer.ts';

const MIB = 2 ** 20;
const HELD_BYTES_MAX = 4 * MIB;

let child: ChildProcess;
let port: number;

beforeAll(async () => {
  const program = join(import.meta.dirname, 'slow-reader-server.ts');
  child = spawn(process.execPath, ['--import', 'tsx', program], {stdio: ['ignore', 'pipe', 'inherit']});
  port = await new Promise<number>((resolve, reject) => {
    child.stdout!.once('data', (line: Buffer) => resolve(Number(line.toString())));
    child.once('exit', () => reject(new Error('the server has ended')));
  });
});

afterAll(() => {
  child.kill('SIGKILL');
});

/** Calls a method and reads its answer piece by piece, looking at the server's memory now and then. */
async function readSlowly(path: string, request: Uint8Array): Promise<{body: Buffer; peak: number}> {
  const watcher = await RawPeer.connect(port);
  let nextId = 1;
  const held = async (): Promise<number> => {
    const id = nextId;
    nextId += 2;
    watcher.send(openStream(id, '/test.Memory/Held'), frame(T.data, F.endStream, id, message('')));
    await watcher.trailers(id);
    return Number(watcher.body(id).subarray(5).toString());
  };
  // Nobody reads meanwhile: what is really held stays, and what the collector has not given back yet goes.
  const before = Math.min(await held(), await held(), await held());
  const settled = async (): Promise<number> => {
    let bytes = await held();
    for (let i = 0; i < 20 && bytes - before >= HELD_BYTES_MAX; i++) bytes = Math.min(bytes, await held());
    return bytes;
  };
  const peer = await RawPeer.connect(port);
  // Windows as wide as they go at first: what holds the server back is that nobody reads.
  peer.send(settings([4, 2 ** 31 - 1]), frame(T.window, 0, 0, uint32(2 ** 31 - 1 - 65_535)));
  await peer.sync();
  peer.socket.pause();
  peer.send(openStream(1, path), frame(T.data, F.endStream, 1, message(request)));
  let peak = 0;
  for (let round = 0; round < 5; round++) peak = Math.max(peak, await settled());
  const pieces: Buffer[] = [];
  let taken = 0;
  let nextLook = 10 * MIB;
  while (peer.headers.get(1)?.at(-1)?.has('grpc-status') !== true) {
    peer.socket.resume();
    await peer.until(() =>
      (peer.data.get(1)?.length ?? 0) > 0 || peer.headers.get(1)?.length === 2 ? true : undefined,
    );
    for (const piece of peer.data.get(1) ?? []) {
      pieces.push(piece);
      taken += piece.length;
    }
    peer.data.set(1, []);
    peer.frames.length = 0;
    if (taken < nextLook) continue;
    nextLook += 10 * MIB;
    peer.socket.pause();
    peak = Math.max(peak, await settled());
  }
  expect(peer.headers.get(1)!.at(-1)!.get('grpc-status')).toBe('0');
  peer.close();
  watcher.close();
  return {body: Buffer.concat(pieces), peak: peak - before};
}

function messagesOf(body: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const length = body.readUInt32BE(at + 1);
    messages.push(body.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return messages;
}

describe('slow reader', () => {
  it('Ensure that 100 MB as one message whose parts are pulled hold less than 4 MB.', async () => {
    const {body, peak} = await readSlowly('/test.Echo/Parts', Buffer.from('100000000'));
    expect(messagesOf(body).map(({length}) => length)).toEqual([100_000_000]);
    expect(peak).toBeLessThan(HELD_BYTES_MAX);
  }, 120_000);

  it('Ensure that 100 MB as 100 messages hold less than 4 MB.', async () => {
    const {body, peak} = await readSlowly('/test.Echo/Count', Buffer.from('100 1000000'));
    expect(messagesOf(body).map(({length}) => length)).toEqual(Array(100).fill(1_000_000));
    expect(peak).toBeLessThan(HELD_BYTES_MAX);
  }, 120_000);

  it('Ensure that a Range of 100 MB holds less than 4 MB, and is the answer that a small one would be.', async () => {
    const all = encodeRangeRequest({key: Buffer.from([0]), rangeEnd: Buffer.from([0])});
    const {body, peak} = await readSlowly('/etcdserverpb.KV/Range', all);
    const [answer] = messagesOf(body);
    const {kvs, count, header} = decodeRangeResponse(answer);
    expect([kvs.length, count, header?.revision]).toEqual([100, 100, 42]);
    expect(
      kvs.every(({value}, i) => value.length === 1_000_000 && value[0] === i + 2 && value.at(-1) === i + 2),
    ).toBe(true);
    expect(peak).toBeLessThan(HELD_BYTES_MAX);
  }, 120_000);

  it.each(['/etcdserverpb.KV/RangeStream', '/etcdserverpb.Maintenance/Snapshot'])(
    'Ensure that 100 MB of %s hold less than 4 MB.',
    async (path) => {
      const all = encodeRangeRequest({key: Buffer.from([0]), rangeEnd: Buffer.from([0])});
      const {body, peak} = await readSlowly(path, path.endsWith('Snapshot') ? Buffer.alloc(0) : all);
      expect(body.length).toBeGreaterThan(100_000_000);
      expect(peak).toBeLessThan(HELD_BYTES_MAX);
    },
    120_000,
  );
});
