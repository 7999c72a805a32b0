/** What only real sockets do to a peer network: break half-way, fill up, carry garbage. */

import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import net from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {WebSocket} from 'ws';
import {EngineError} from '../../../src/engine/errors.ts';
import {
  PEER_QUEUE_BYTES_MAX,
  PEER_SNAPSHOT_QUEUE_CHUNKS,
  PEER_UNLISTED_LINGER_MS,
  PEER_UNLISTED_MAX,
} from '../../../src/engine/limits.ts';
import type {Message} from '../../../src/engine/raft/message.ts';
import {helloHeaders, welcomeHeaders} from '../../../src/transport/peer/handshake.ts';
import {
  append,
  connect,
  heartbeat,
  numberOf,
  peerOf,
  proposal,
} from '../../contract/peer-network.contract.ts';
import {realClock, type SocketMember, SocketWorld, until} from '../../contract/socket-world.ts';

let world: SocketWorld;
const closers: (() => void)[] = [];

beforeEach(() => {
  world = new SocketWorld();
});
afterEach(async () => {
  await world.stop();
  for (const close of closers.splice(0)) close();
});

async function pair(): Promise<[SocketMember, SocketMember]> {
  const [a, b] = [await world.start({id: 1n}), await world.start({id: 2n})];
  connect(a, b);
  await until(() => isUp(a, 2n) && isUp(b, 1n), 'both links stand');
  return [a, b];
}

const isUp = (member: SocketMember, id: bigint): boolean => member.network.connectedSinceMs(id) !== undefined;
const portOf = (member: SocketMember): number => Number(/:(\d+)$/.exec(member.urls[0])?.[1]);

/** A TCP relay in front of a member that can be told to swallow everything, or to cut its connections. */
async function relay(port: number): Promise<{url: string; swallow(): void; heal(): void; cut(): void}> {
  let isSwallowing = false;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => isSwallowing || to.write(data));
      from.on('error', () => undefined);
      from.on('close', () => isSwallowing || to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    swallow: () => {
      isSwallowing = true;
    },
    heal: () => {
      isSwallowing = false;
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function say(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}

const HELLO = {protocol: {min: 1, max: 1}, clusterId: 0xc1n, memberId: 9n, to: 1n, peerUrls: []};

function dialRaw(member: SocketMember, path = '/kvd/peer', headers = helloHeaders(HELLO)): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${portOf(member)}${path}`, {headers});
  socket.on('error', () => undefined);
  closers.push(() => socket.terminate());
  return socket;
}

describe('a link back', () => {
  it('Ensure that a member answers one that it does not know yet, until that one is gone.', async () => {
    let nowMs = 0;
    const clock = {...realClock, monotonicMs: () => realClock.monotonicMs() + nowMs};
    const newcomer = await world.start({id: 1n});
    const old = await world.start({id: 2n, network: {clock}});
    newcomer.network.setPeers([peerOf(old)]);
    await until(() => isUp(newcomer, 2n) && isUp(old, 1n), 'both links stand');
    old.network.send(1n, [heartbeat(2n, 1n, 7)]);
    await until(() => newcomer.received.length === 1, 'the answer');
    newcomer.answer = async (from) => from;
    expect(await old.network.call(1n, 1, 5_000)).toBe(2n);

    old.network.setPeers([]);
    expect(isUp(old, 1n)).toBe(true);
    const standsSince = old.network.connectedSinceMs(1n);
    old.network.setPeers([peerOf(newcomer)]);
    expect(old.network.connectedSinceMs(1n)).toBe(standsSince);
    old.network.setPeers([]);
    await newcomer.network.stop();
    await until(() => !isUp(old, 1n), 'the link is down');
    await expect(old.network.call(1n, 1, 5_000)).rejects.toMatchObject({
      failure: {code: 'timeoutConnectionLost'},
    });
    let code = '';
    const ask = () => old.network.call(1n, 1, 5_000).catch((error: EngineError) => error.code);
    await until(() => {
      nowMs += PEER_UNLISTED_LINGER_MS;
      old.network.setPeers([]);
      void ask().then((answer) => {
        code = String(answer);
      });
      return code === 'memberNotFound';
    }, 'it is given up');
  });

  it('Ensure that a member whose listed URLs are of the past is found where it says it is.', async () => {
    const [a, b] = [await world.start({id: 1n}), await world.start({id: 2n})];
    b.network.setPeers([{id: 1n, urls: ['http://127.0.0.1:1']}]);
    await until(
      () => b.lost.length > 0 || b.log.some(({message}) => message === 'no link to peer'),
      'no link',
    );
    a.network.setPeers([peerOf(b)]);
    await until(() => isUp(b, 1n), 'the link stands');
  });

  it('Ensure that a removed member gets none, and loses the one it has.', async () => {
    const removed = new Set<bigint>();
    const a = await world.start({id: 1n, isRemoved: (id) => removed.has(id)});
    const b = await world.start({id: 2n});
    b.network.setPeers([peerOf(a)]);
    await until(() => isUp(a, 2n), 'the link back');
    removed.add(2n);
    await until(() => !isUp(a, 2n), 'it is closed');
    await expect(a.network.call(2n, 1, 5_000)).rejects.toMatchObject({failure: {code: 'memberNotFound'}});
  });

  it('Ensure that strangers cannot have more than a bounded number of them.', async () => {
    const a = await world.start({id: 1n});
    const closed = 'http://127.0.0.1:1';
    const opened = Array.from({length: PEER_UNLISTED_MAX + 3}, (_, i) => {
      const hello = {...HELLO, memberId: BigInt(100 + i), peerUrls: [closed]};
      const socket = dialRaw(a, '/kvd/peer', helloHeaders(hello));
      return new Promise((resolve) => socket.once('open', resolve));
    });
    await Promise.all(opened);
    const codes = await Promise.all(
      opened.map((_, i) =>
        a.network.call(BigInt(100 + i), 1, 5_000).catch((error: EngineError) => error.code),
      ),
    );
    expect(codes.filter((code) => code === 'timeoutConnectionLost')).toHaveLength(PEER_UNLISTED_MAX);
    expect(codes.filter((code) => code === 'memberNotFound')).toHaveLength(3);
  });
});

describe('peer links', () => {
  it('Ensure that a half-open link is found out and replaced.', async () => {
    const [a, b] = [await world.start({id: 1n}), await world.start({id: 2n})];
    const between = await relay(portOf(b));
    a.network.setPeers([{id: 2n, urls: [between.url]}]);
    await until(() => isUp(a, 2n), 'the link stands');
    between.swallow();
    await until(() => !isUp(a, 2n), 'the silence is noticed');
    between.heal();
    await until(() => isUp(a, 2n), 'the link stands again');
    a.network.send(2n, [heartbeat(1n, 2n, 3)]);
    await until(() => b.received.length === 1, 'the message');
    expect(a.metrics.get('etcd_network_active_peers')).toBe(1);
    await until(() => a.metrics.has('etcd_network_peer_round_trip_time_seconds'), 'a ping is answered');
  });

  it('Ensure that a link that is cut in the midst of frames repeats nothing on the next.', async () => {
    const a = await world.start({id: 1n});
    const urls: string[] = [];
    // It says itself that it is behind the relay: nobody finds a way past it.
    const b = await world.start({id: 2n, network: {advertiseUrls: () => urls}});
    const between = await relay(portOf(b));
    urls.push(between.url);
    a.network.setPeers([{id: 2n, urls: [between.url]}]);
    let sent = 0;
    for (let cut = 0; cut < 5; cut++) {
      await until(() => isUp(a, 2n), 'the link stands');
      const before = b.received.length;
      const standsSince = a.network.connectedSinceMs(2n);
      await until(() => {
        a.network.send(
          2n,
          Array.from({length: 300}, () => proposal(1n, 2n, sent++)),
        );
        return b.received.length > before;
      }, 'some of them');
      between.cut();
      await until(() => a.network.connectedSinceMs(2n) !== standsSince, 'the link is down');
    }
    await until(() => isUp(a, 2n), 'the link stands');
    expect(a.lost.length).toBeGreaterThan(0);
    const received = b.received.map(({message}) => numberOf(message));
    expect(received).toEqual([...new Set(received)].sort((x, y) => x - y));
    expect(received.length).toBeLessThan(sent);
  });

  it('Ensure that a link that was cut stands again within a fraction of an election timeout.', async () => {
    const [a, b] = [await world.start({id: 1n}), await world.start({id: 2n})];
    const between = await relay(portOf(b));
    a.network.setPeers([{id: 2n, urls: [between.url]}]);
    await until(() => isUp(a, 2n), 'the link stands');
    const cutAtMs = performance.now();
    between.cut();
    await until(() => !isUp(a, 2n), 'the link is down');
    await until(() => isUp(a, 2n), 'the link stands again');
    expect(performance.now() - cutAtMs).toBeLessThan(1_000);
    expect(a.lost.length).toBeLessThanOrEqual(1);
  });

  it('Ensure that a member that comes back calls the others to dial it at once.', async () => {
    const [a, b] = await pair();
    await b.network.stop();
    let attempts = 0;
    const nobody = net.createServer((socket) => {
      attempts++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => nobody.listen(portOf(b), '127.0.0.1', resolve));
    await until(() => attempts >= 7, 'the pauses have grown long');
    await new Promise((resolve) => nobody.close(resolve));
    // The one who returns dials first; that ends the others' pauses.
    const again = await world.start({id: 2n, urls: b.urls});
    again.network.setPeers([{id: 1n, urls: a.urls}]);
    await until(() => isUp(again, 1n), 'its own link stands');
    const sinceMs = performance.now();
    await until(() => isUp(a, 2n), 'the link back stands');
    expect(performance.now() - sinceMs).toBeLessThan(200);
  });

  it('Ensure that the same reason is logged once, not with every attempt.', async () => {
    const a = await world.start({id: 1n, clusterId: 5n});
    const b = await world.start({id: 2n, clusterId: 6n});
    let refusals = 0;
    const c = await world.start({id: 3n, clusterId: 5n, network: {refused: () => refusals++}});
    for (const member of [a, c])
      member.network.setPeers([
        {id: 2n, urls: b.urls},
        {id: 4n, urls: ['http://no.invalid:1']},
      ]);
    await until(() => refusals >= 5, 'many attempts');
    const warnings = (member: SocketMember, of: string): string[] =>
      member.log
        .filter(({level, message}) => level === 'warn' && message === of)
        .map(({fields}) => String(fields.reason));
    expect(
      warnings(c, 'no link to peer').filter((reason) => reason.includes('cluster 5 asked, 6')),
    ).toHaveLength(1);
    expect(warnings(b, 'peer refused')).toHaveLength(2);
    await until(
      () => warnings(c, 'no link to peer').some((reason) => reason.includes('no.invalid')),
      'no such host',
    );
    expect(warnings(c, 'no link to peer')).toHaveLength(2);
  });

  it('Ensure that a peer at several URLs is found at the one that works.', async () => {
    const a = await world.start({id: 1n});
    const b = await world.start({id: 2n});
    a.network.setPeers([{id: 2n, urls: ['http://127.0.0.1:1', 'http://no.invalid:5', ...b.urls]}]);
    await until(() => isUp(a, 2n), 'the link stands');
  });

  it('Ensure that the wrong member behind a URL is not talked to.', async () => {
    const a = await world.start({id: 1n});
    const b = await world.start({id: 2n});
    a.network.setPeers([{id: 3n, urls: b.urls}]);
    await until(() => a.log.some(({fields}) => fields.refusal === 'member'), 'the refusal is logged');
    expect(isUp(a, 3n)).toBe(false);
    expect(b.log.some(({message}) => message === 'peer refused')).toBe(true);
  });

  it('Ensure that a peer that reads nothing costs bounded memory, and the newest messages.', async () => {
    const stuck = net.createServer((socket) => {
      socket.once('data', (data) => {
        const key = /sec-websocket-key: (\S+)/i.exec(data.toString('latin1'))?.[1] ?? '';
        void acceptOf(key).then((accept) => {
          const headers = Object.entries(welcomeHeaders({clusterId: 0xc1n, memberId: 2n, protocol: 1}));
          const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
          const upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\n';
          socket.write(`HTTP/1.1 101 X\r\n${upgrade}Sec-WebSocket-Accept: ${accept}\r\n${lines}\r\n`);
          socket.pause();
        });
      });
      socket.on('error', () => undefined);
      closers.push(() => socket.destroy());
    });
    await new Promise<void>((resolve) => stuck.listen(0, '127.0.0.1', resolve));
    closers.push(() => stuck.close());
    // A long election timeout: here the bound is to be met before the silence is.
    const a = await world.start({id: 1n, network: {electionTimeoutMs: 60_000}});
    a.network.setPeers([{id: 2n, urls: [`http://127.0.0.1:${(stuck.address() as net.AddressInfo).port}`]}]);
    await until(() => isUp(a, 2n), 'the link stands');
    const payload = Buffer.alloc(1 << 20);
    const many = 100;
    for (let i = 0; i < many; i++) a.network.send(2n, [append(1n, 2n, i, [payload])]);
    await until(() => a.lost.length > 0, 'the loss is reported');
    const dropped = a.metrics.get('etcd_network_peer_sent_failures_total') ?? 0;
    // A few lie in the system's own buffers.
    expect(many - dropped).toBeLessThanOrEqual(PEER_QUEUE_BYTES_MAX / payload.length + 8);
    expect(dropped).toBeGreaterThan(many - PEER_QUEUE_BYTES_MAX / payload.length - 10);
    expect(isUp(a, 2n)).toBe(true);
  });

  it('Ensure that what is sent together leaves in one frame.', async () => {
    const [a, b] = await pair();
    const receivedBytes = () => b.metrics.get('etcd_network_peer_received_bytes_total') ?? 0;
    const before = receivedBytes();
    a.network.send(2n, [heartbeat(1n, 2n, 0)]);
    await until(() => b.received.length === 1, 'the first message');
    const aloneBytes = receivedBytes() - before;
    a.network.send(
      2n,
      Array.from({length: 100}, (_, i) => heartbeat(1n, 2n, i)),
    );
    await until(() => b.received.length === 101, 'all messages');
    // A frame of its own would repeat its head with each.
    expect(receivedBytes() - before - aloneBytes).toBeLessThan(100 * (aloneBytes - 1));
    expect(b.received.map(({message}) => message.type)).toEqual(Array(101).fill('heartbeat'));
  });
});

async function acceptOf(key: string): Promise<string> {
  const {createHash} = await import('node:crypto');
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

describe('peer port', () => {
  it('Ensure that garbage ends its own connection and harms no other.', async () => {
    const [a, b] = await pair();
    const port = portOf(a);
    expect(await say(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toContain('404');
    expect(await say(port, 'GET /kvd/peer HTTP/1.1\r\nHost: x\r\n\r\n')).toContain('404');
    expect(await say(port, Buffer.from([0x16, 3, 1, 0, 200, 0, 0, 255]))).toContain('400');
    expect(await say(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toContain('400');
    const upgrade = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    expect(await say(port, `GET /kvd/peer HTTP/1.1\r\n${upgrade}\r\n`)).toContain('412');
    expect(await say(port, `GET /elsewhere HTTP/1.1\r\n${upgrade}\r\n`)).toContain('404');
    const hello = Object.entries(helloHeaders(HELLO))
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    expect(await say(port, `GET /kvd/peer HTTP/1.1\r\n${upgrade}${hello}\r\n`)).toContain('400');

    for (const bad of [
      Buffer.from([0xc1]),
      Buffer.alloc(0),
      Buffer.from('hello'),
      Buffer.alloc(100_000, 0xdd),
    ]) {
      const socket = dialRaw(a);
      await new Promise((resolve) => socket.once('open', resolve));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.send(bad);
      await closed;
    }
    const text = dialRaw(a);
    await new Promise((resolve) => text.once('open', resolve));
    const closed = new Promise((resolve) => text.once('close', resolve));
    text.send('text');
    await closed;

    b.network.send(1n, [heartbeat(2n, 1n, 42)]);
    await until(() => a.received.length > 0, 'the message of the neighbour');
    expect(a.received).toEqual([{from: 2n, message: heartbeat(2n, 1n, 42)}]);
    expect(b.lost).toEqual([]);
  });

  it('Ensure that a discovery connection cannot speak for a member.', async () => {
    const [a] = await pair();
    const socket = dialRaw(a, '/kvd/call', helloHeaders({...HELLO, memberId: 2n}));
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const {encodeMessage} = await import('../../../src/transport/peer/message-codec.ts');
    const {packMessages} = await import('../../../src/transport/peer/frame-codec.ts');
    socket.send(packMessages([encodeMessage(heartbeat(2n, 1n, 1), 2n)]));
    await closed;
    expect(a.received).toEqual([]);
  });

  it('Ensure that several URLs are served, a socket file with what an earlier process left of it too.', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kvd-peer-'));
    closers.push(() => rmSync(folder, {recursive: true, force: true}));
    const path = join(folder, 'peer.sock');
    const dead = net.createServer().listen(path);
    await new Promise((resolve) => dead.once('listening', resolve));
    // A listener that goes without removing its file: as after a kill.
    const {renameSync} = await import('node:fs');
    renameSync(path, `${path}.kept`);
    await new Promise((resolve) => dead.close(resolve));
    renameSync(`${path}.kept`, path);

    const a = await world.start({id: 1n, listenUrls: ['http://127.0.0.1:0', `unix://${path}`]});
    const b = await world.start({id: 2n});
    b.network.setPeers([{id: 1n, urls: [`unix://${path}`]}]);
    await until(() => isUp(b, 1n), 'the link over the socket file stands');
    b.network.send(1n, [heartbeat(2n, 1n, 1)]);
    await until(() => a.received.length === 1, 'the message');

    await expect(world.start({id: 3n, listenUrls: [`unix://${path}`]})).rejects.toThrow(EngineError);
    await expect(world.start({id: 3n, listenUrls: ['http://127.0.0.1:0', a.urls[0]]})).rejects.toThrow(
      'in use',
    );
    writeFileSync(join(folder, 'a file'), '');
    await expect(world.start({id: 3n, listenUrls: [`unix://${join(folder, 'a file')}`]})).rejects.toThrow(
      EngineError,
    );
  });
});

describe('snapshots between members', () => {
  const announcement: Message = {
    type: 'snapshot',
    from: 1n,
    to: 2n,
    term: 1,
    meta: {
      index: 1,
      term: 1,
      confState: {voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false},
    },
  };

  it('Ensure that 50 MB cross at the speed of the disk behind, and the link stays quick meanwhile.', async () => {
    const [a, b] = await pair();
    const size = 256 * 1024;
    const count = 200;
    let produced = 0;
    let consumed = 0;
    let aheadMax = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; produced < count; produced++) yield Buffer.alloc(size, produced);
    }
    b.takeSnapshot = async (chunks) => {
      for await (const chunk of chunks) {
        expect(chunk[0]).toBe(consumed % 256);
        consumed++;
        aheadMax = Math.max(aheadMax, produced - consumed);
        if (consumed === 20) {
          a.network.send(2n, [heartbeat(1n, 2n, 5)]);
          await until(() => b.received.length === 1, 'a message overtakes the snapshot');
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    await a.network.sendSnapshot(2n, announcement, source());
    expect(consumed).toBe(count);
    // What the sockets and the kernel hold, and what either side may queue: far from all of it.
    expect(aheadMax * size).toBeLessThan(20 * 1024 * 1024);
    expect(aheadMax).toBeGreaterThan(PEER_SNAPSHOT_QUEUE_CHUNKS);
  });

  it('Ensure that a transfer without progress ends on both sides.', async () => {
    const network = {snapshotStallMs: 100};
    const [a, b] = [await world.start({id: 1n, network}), await world.start({id: 2n, network})];
    connect(a, b);
    await until(() => isUp(a, 2n), 'the link stands');
    let received = '';
    b.takeSnapshot = async (chunks) => {
      const reason = await (async () => {
        for await (const chunk of chunks) expect(chunk.length).toBe(10);
      })().catch((error: EngineError) => error.code);
      received = String(reason);
    };
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      await new Promise(() => undefined);
    }
    await expect(a.network.sendSnapshot(2n, announcement, stuck())).rejects.toThrow(EngineError);
    await until(() => received !== '', 'the receiver is told');
    expect(['timeout', 'timeoutConnectionLost']).toContain(received);
  });

  it('Ensure that a long installation does not look like a stalled transfer.', async () => {
    const network = {snapshotStallMs: 100};
    const [a, b] = [await world.start({id: 1n, network}), await world.start({id: 2n, network})];
    connect(a, b);
    await until(() => isUp(a, 2n), 'the link stands');
    b.takeSnapshot = async (chunks) => {
      for await (const chunk of chunks) expect(chunk.length).toBe(10);
      await new Promise((resolve) => setTimeout(resolve, 400));
    };
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
    }
    await a.network.sendSnapshot(2n, announcement, source());
  });
});
