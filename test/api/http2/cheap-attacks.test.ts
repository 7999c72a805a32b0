/** Few bytes of a client that could make the server do much: streams it resets itself, quotations, priorities. */

import {afterEach, describe, expect, it} from 'vitest';
import {echoService, type Served, serve, stubbornMethod} from './echo-service.ts';
import {block, E, F, frame, message, openStream, RawPeer, T, uint32, unaryCall} from './raw-peer.ts';

let served: Served | undefined;

afterEach(() => served?.stop());

async function expectServed(peer: RawPeer, id: number): Promise<void> {
  peer.send(unaryCall(id, 'served'));
  expect((await peer.trailers(id)).get('grpc-status')).toBe('0');
}

/** Frames on a stream whose request is complete, for which the server must reset it. */
const BREACHES: readonly (readonly [string, (id: number) => Buffer])[] = [
  ['a window opened by 0', (id) => frame(T.window, 0, id, uint32(0))],
  ['a window opened too far', (id) => frame(T.window, 0, id, uint32(2 ** 31 - 1))],
  ['PRIORITY of four bytes', (id) => frame(T.priority, 0, id, Buffer.alloc(4))],
  ['DATA behind the end', (id) => frame(T.data, 0, id, message('x'))],
  ['HEADERS behind the end', (id) => openStream(id)],
];

describe('cheap attacks', () => {
  it.each(BREACHES)(
    'Ensure that handlers of streams that the server was made to reset are bounded: %s (CVE-2025-8671).',
    async (_name, breach) => {
      const {stubborn, release} = stubbornMethod();
      served = await serve({methods: [...echoService().methods, stubborn]});
      const neighbour = await RawPeer.connect(served.port);
      const peer = await RawPeer.connect(served.port);
      let id = 1;
      for (let round = 0; round < 10; round++) {
        const parts: Buffer[] = [];
        for (let i = 0; i < 1000; i++, id += 2)
          parts.push(unaryCall(id, 'x', '/test.Echo/Stubborn'), breach(id));
        peer.send(...parts);
      }
      expect(await peer.reset(id - 2)).not.toBe(E.refused);
      peer.send(unaryCall(id, 'one more', '/test.Echo/Stubborn'));
      expect(await peer.reset(id)).toBe(E.refused);
      expect(release.length).toBe(10_000);
      await expectServed(neighbour, 1);
      for (const one of release.splice(0)) one();
      await peer.sync();
      await expectServed(peer, id + 2);
      peer.close();
      neighbour.close();
    },
  );

  it('Ensure that an error quotes little of a request that names a large table entry (amplification).', async () => {
    served = await serve();
    const peer = await RawPeer.connect(served.port);
    const content = block([['content-type', 'application/grpc']]);
    const path = Buffer.from(`/${'\xe4'.repeat(3_900)}`, 'latin1');
    // :path with this value goes into the table; from then on one byte stands for it.
    const insert = Buffer.concat([Buffer.from([0x83, 0x86, 0x44, 0x7f, 0xbe, 0x1d]), path, content]);
    peer.send(frame(T.headers, F.endHeaders | F.endStream, 1, insert));
    await peer.trailers(1);
    const again = Buffer.concat([Buffer.from([0x83, 0x86, 0xbe]), content]);
    peer.send(frame(T.headers, F.endHeaders | F.endStream, 3, again));
    expect((await peer.trailers(3)).get('grpc-message')).toMatch(/^malformed method name: "\/%C3%A4/);
    const answer = peer.frames.find(({type, id}) => type === T.headers && id === 3)!;
    expect(answer.payload.length).toBeLessThan(2_000);
    peer.close();
  });

  it('Ensure that priorities without end change nothing (resource loop).', async () => {
    served = await serve();
    const peer = await RawPeer.connect(served.port);
    const neighbour = await RawPeer.connect(served.port);
    for (let round = 0; round < 10; round++) {
      const frames = Array.from({length: 5_000}, (_, i) => {
        const on = Buffer.concat([uint32(0x80000000 + ((i * 7) % 10_000)), Buffer.from([i & 0xff])]);
        return frame(T.priority, 0, (i % 10_000) + 1, on);
      });
      peer.send(...frames);
      await expectServed(neighbour, 2 * round + 1);
    }
    await expectServed(peer, 1);
    expect(peer.frames.every(({type}) => type !== T.rst && type !== T.goaway)).toBe(true);
    peer.close();
    neighbour.close();
  });
});
