/**
 * A fuzzer of the client's end: a server that answers mostly right, and sometimes anything. Every call must end, once,
 * and nothing may be held when the connection is gone.
 */

import {describe, expect, it} from 'vitest';
import {ClientConnection} from '../../../src/transport/http2/client-connection.ts';
import {GrpcError} from '../../../src/transport/http2/grpc-status.ts';
import {HpackEncoder} from '../../../src/transport/http2/hpack/encoder.ts';
import {frame, randomOf, turn, uint32} from './fuzzing.ts';
import {MemorySocket} from './memory-socket.ts';

const CONNECTIONS = Number(process.env.HTTP2_FUZZ_CONNECTIONS ?? 1000);
const FIRST_SEED = Number(process.env.HTTP2_FUZZ_SEED ?? 1);

function answerFrames(random: (below: number) => number, encoder: HpackEncoder, id: number): Buffer[] {
  encoder.begin();
  encoder.add(':status', random(20) === 0 ? '503' : '200', 'index');
  encoder.add('content-type', 'application/grpc', 'index');
  if (random(10) === 0) encoder.add('grpc-encoding', 'gzip', 'plain');
  const headers = Buffer.from(encoder.end());
  const messages = Array.from({length: random(4)}, () => {
    const size = random(2000);
    return frame(0, 0, id, Buffer.concat([Buffer.from([0]), uint32(size), Buffer.alloc(size)]));
  });
  encoder.begin();
  encoder.add('grpc-status', String(random(4) === 0 ? random(20) : 0), 'index');
  if (random(4) === 0) encoder.add('grpc-message', 'why %41', 'plain');
  const trailers = Buffer.from(encoder.end());
  return [frame(1, 4, id, headers), ...messages, frame(1, 5, id, trailers)];
}

function strayFrame(random: (below: number) => number): Buffer {
  const id = random(4) === 0 ? random(100) : 2 * random(10) + 1;
  switch (random(6)) {
    case 0:
      return frame(3, 0, id, uint32(random(14)));
    case 1:
      return frame(7, 0, 0, Buffer.concat([uint32(random(20)), uint32(random(14)), Buffer.from('bye')]));
    case 2:
      return frame(8, 0, random(2) * id, uint32(random(1000)));
    case 3:
      return frame(4, 0, 0, Buffer.concat([Buffer.from([0, 3]), uint32(random(10))]));
    case 4:
      return frame(6, random(2), 0, Buffer.alloc(8));
    default:
      return frame(random(12), random(256), id, Buffer.alloc(random(40), random(256)));
  }
}

async function play(seed: number): Promise<number> {
  const random = randomOf(seed);
  const socket = new MemorySocket();
  let unusable = 0;
  const connection = new ClientConnection(socket.asSocket(), {
    authority: 'test',
    scheme: 'http',
    maxReceiveBytes: 1500,
    onUnusable: () => unusable++,
  });
  let ended = 0;
  let succeeded = 0;
  const note = (error: unknown): void => {
    ended++;
    if (!(error instanceof GrpcError)) throw error;
  };
  const calls = 1 + random(8);
  const running: Promise<void>[] = [];
  for (let i = 0; i < calls; i++) {
    if (random(2) === 0) {
      const call = connection.unary('/a/b', Buffer.alloc(random(300)), {
        timeoutMs: random(20) === 0 ? 5 : undefined,
      });
      const done = (): void => {
        succeeded++;
        ended++;
      };
      running.push(call.then(done, note));
      continue;
    }
    const stream = connection.stream('/a/c', {});
    void stream.send(Buffer.alloc(random(100))).catch(() => undefined);
    if (random(2) === 0) stream.end();
    const read = async (): Promise<void> => {
      for await (const _ of stream.responses) if (random(10) === 0) break;
      ended++;
    };
    running.push(read().catch(note));
  }
  const encoder = new HpackEncoder(4096);
  const frames: Buffer[] = [frame(4, 0, 0)];
  for (let i = 0; i < calls; i++) {
    frames.push(...answerFrames(random, encoder, 2 * i + 1));
    if (random(6) === 0) frames.push(strayFrame(random));
  }
  if (random(3) === 0) {
    const broken = frames[random(frames.length)];
    broken[random(broken.length)] = random(256);
  }
  const bytes = Buffer.concat(frames);
  for (let from = 0; from < bytes.length; ) {
    const length = random(3) === 0 ? 1 + random(10) : 1 + random(5000);
    socket.emit('data', Buffer.from(bytes.subarray(from, from + length)));
    from += length;
    if (random(3) === 0) await turn();
  }
  await turn();
  if (random(2) === 0) socket.emit('end');
  else connection.close();
  socket.destroy();
  await Promise.all(running);
  expect(ended).toBe(calls);
  expect(unusable).toBe(1);
  expect(connection.streams.size).toBe(0);
  expect(connection.heldBytes).toBe(0);
  return succeeded;
}

describe('client connection', () => {
  it('Ensure that whatever a server answers, every call ends once.', async () => {
    let succeeded = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + CONNECTIONS; seed += 20) {
      const batch = Array.from({length: 20}, (_, i) =>
        play(seed + i).catch((error: Error) => {
          throw new Error(`seed ${seed + i}: ${error.stack}`);
        }),
      );
      for (const count of await Promise.all(batch)) succeeded += count;
    }
    expect(succeeded).toBeGreaterThan(CONNECTIONS / 10);
  }, 1e9);
});
