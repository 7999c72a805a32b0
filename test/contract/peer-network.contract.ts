/**
 * What every PeerNetwork must do, whether it runs over sockets or in a simulator. A world makes members that can
 * reach each other by their peer URLs; waiting is the world's, since simulated time passes differently.
 */

import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../src/engine/errors.ts';
import type {Peer, PeerNetwork} from '../../src/engine/ports.ts';
import type {Message} from '../../src/engine/raft/message.ts';
import type {MemberId} from '../../src/engine/types.ts';

export type Network = PeerNetwork<Message, unknown, unknown>;

/** A started member and all that its handlers were told. */
export interface TestMember {
  readonly id: MemberId;
  readonly urls: readonly string[];
  readonly network: Network;
  readonly received: {readonly from: MemberId; readonly message: Message}[];
  readonly lost: MemberId[];
  readonly snapshots: {readonly from: MemberId; readonly announcement: Message; readonly bytes: Uint8Array}[];
  answer: (from: MemberId, call: unknown) => Promise<unknown>;
  /** Replaces what is done with a snapshot; by default it is collected. */
  takeSnapshot: ((chunks: AsyncIterable<Uint8Array>) => Promise<void>) | undefined;
}

export interface MemberOptions {
  readonly id: MemberId;
  readonly clusterId?: bigint;
  readonly isRemoved?: (id: MemberId) => boolean;
  /** Listens where an earlier member did. */
  readonly urls?: readonly string[];
}

export interface PeerWorld {
  start(options: MemberOptions): Promise<TestMember>;
  /** Resolves once `isTrue`; rejects when it takes far too long. */
  until(isTrue: () => boolean, what: string): Promise<void>;
  stop(): Promise<void>;
}

export function peerOf({id, urls}: TestMember): Peer {
  return {id, urls};
}

export function connect(...members: TestMember[]): void {
  for (const member of members) member.network.setPeers(members.map(peerOf));
}

export function heartbeat(from: MemberId, to: MemberId, commit: number): Message {
  return {type: 'heartbeat', from, to, term: 1, commit, readContext: 0};
}

export function append(from: MemberId, to: MemberId, previousIndex: number, payloads: Uint8Array[]): Message {
  const entries = payloads.map((payload, i) => {
    return {index: previousIndex + 1 + i, term: 2, type: 0, payload} as const;
  });
  return {type: 'append', from, to, term: 2, previousIndex, previousTerm: 2, entries, commit: previousIndex};
}

export function proposal(from: MemberId, to: MemberId, number: number): Message {
  return {
    type: 'propose',
    from,
    to,
    term: 0,
    entries: [{type: 0, payload: Buffer.alloc(2_000, `${number} `)}],
  };
}

/** The number of a {@link proposal}. */
export function numberOf(message: Message): number {
  return message.type === 'propose' ? Number.parseInt(String(message.entries[0].payload), 10) : Number.NaN;
}

const snapshotMessage = (from: MemberId, to: MemberId): Message => ({
  type: 'snapshot',
  from,
  to,
  term: 3,
  meta: {
    index: 10,
    term: 2,
    confState: {voters: [1n, 2n], votersOutgoing: [], learners: [3n], learnersNext: [], autoLeave: false},
  },
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof EngineError ? error.code : String(error);
}

export function peerNetworkSuite(name: string, makeWorld: () => Promise<PeerWorld>): void {
  describe(`peer network: ${name}`, () => {
    let world: PeerWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(async () => {
      await world.stop();
    });

    async function pair(): Promise<[TestMember, TestMember]> {
      const a = await world.start({id: 0xf00000000000000an});
      const b = await world.start({id: 2n});
      connect(a, b);
      await world.until(
        () =>
          a.network.connectedSinceMs(b.id) !== undefined && b.network.connectedSinceMs(a.id) !== undefined,
        'both links stand',
      );
      return [a, b];
    }

    it('Ensure that messages arrive whole, once and in order, in both directions.', async () => {
      const [a, b] = await pair();
      const payload = Buffer.from([0, 255, 1, 254]);
      for (let turn = 0; turn < 20; turn++) {
        a.network.send(b.id, [append(a.id, b.id, turn * 2, [payload]), append(a.id, b.id, turn * 2 + 1, [])]);
        b.network.send(a.id, [heartbeat(b.id, a.id, turn)]);
        if (turn % 3 === 0) await Promise.resolve();
      }
      await world.until(() => b.received.length === 40 && a.received.length === 20, 'all messages');
      expect(b.received.map(({message}) => (message.type === 'append' ? message.previousIndex : -1))).toEqual(
        Array.from({length: 40}, (_, i) => i),
      );
      expect(b.received[0]).toEqual({from: a.id, message: append(a.id, b.id, 0, [payload])});
      expect(a.received.map(({message}) => message)).toEqual(
        Array.from({length: 20}, (_, i) => heartbeat(b.id, a.id, i)),
      );
      expect(a.lost).toEqual([]);
    });

    it('Ensure that messages to a member that is away are dropped and reported, and flow when it is back.', async () => {
      const [a, b] = await pair();
      await b.network.stop();
      await world.until(() => a.network.connectedSinceMs(b.id) === undefined, 'the link is seen to be down');
      a.network.send(b.id, [heartbeat(a.id, b.id, 1)]);
      expect(a.lost.filter((id) => id !== b.id)).toEqual([]);
      await world.until(() => a.lost.includes(b.id), 'the loss is reported');
      const again = await world.start({id: b.id, urls: b.urls});
      again.network.setPeers([peerOf(a)]);
      await world.until(() => a.network.connectedSinceMs(b.id) !== undefined, 'the link stands again');
      a.network.send(b.id, [heartbeat(a.id, b.id, 7)]);
      await world.until(() => again.received.length > 0, 'the message');
      expect(again.received.map(({message}) => message)).toEqual([heartbeat(a.id, b.id, 7)]);
    });

    it('Ensure that proposals and calls arrive once at most, and in order, however often the link breaks.', async () => {
      const a = await world.start({id: 1n});
      let sent = 0;
      const called: unknown[] = [];
      const lives: TestMember[] = [];
      const asked: Promise<unknown>[] = [];
      for (let life = 0; life < 4; life++) {
        const b = await world.start({id: 2n, ...(lives.length > 0 && {urls: lives[0].urls})});
        lives.push(b);
        b.answer = async (_from, call) => called.push(call);
        connect(a, b);
        await world.until(() => a.network.connectedSinceMs(b.id) !== undefined, 'the link stands');
        // The end comes while some are delivered and others wait, in the queue and on the way.
        await world.until(() => {
          a.network.send(
            b.id,
            Array.from({length: 50}, () => proposal(a.id, b.id, sent++)),
          );
          asked.push(a.network.call(b.id, sent, 60_000).catch(() => undefined));
          return b.received.length >= 100 && called.length > life;
        }, 'some of them');
        await b.network.stop();
        await world.until(() => a.network.connectedSinceMs(b.id) === undefined, 'the link is down');
      }
      await a.network.stop();
      await Promise.all(asked);
      const received = lives.flatMap((life) => life.received.map(({message}) => numberOf(message)));
      expect(received).toEqual([...new Set(received)].sort((x, y) => x - y));
      expect(received.length).toBeLessThanOrEqual(sent);
      expect(called).toEqual([...new Set(called)]);
    });

    it('Ensure that the loss of messages is never reported from within send.', async () => {
      const a = await world.start({id: 1n});
      a.network.setPeers([{id: 9n, urls: ['http://127.0.0.1:1']}]);
      a.network.send(9n, [heartbeat(1n, 9n, 1)]);
      expect(a.lost).toEqual([]);
      await world.until(() => a.lost.length > 0, 'the loss is reported');
    });

    it('Ensure that a message to a stranger goes nowhere.', async () => {
      const [a] = await pair();
      a.network.send(77n, [heartbeat(a.id, 77n, 1)]);
      expect(a.network.connectedSinceMs(77n)).toBeUndefined();
    });

    it('Ensure that a call is answered with the data that the handler gave.', async () => {
      const [a, b] = await pair();
      const data = {
        id: 0xffffffffffffffffn,
        lease: -5n,
        bytes: Buffer.from([1, 2, 3]),
        list: [1, 'two', true, null, 2 ** 40],
        nested: {a: {b: 1}},
      };
      b.answer = async (from, call) => ({from, call});
      expect(await a.network.call(b.id, data, 5_000)).toEqual({from: a.id, call: data});
      expect(await a.network.callUrl(b.urls[0], data, 5_000)).toEqual({from: a.id, call: data});
    });

    it('Ensure that a refusal travels back to the caller as the same failure.', async () => {
      const [a, b] = await pair();
      b.answer = async () => {
        throw new EngineError({code: 'compacted', compactRevision: 12});
      };
      for (const asked of [a.network.call(b.id, 1, 5_000), a.network.callUrl(b.urls[0], 1, 5_000)]) {
        const error: unknown = await asked.catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(EngineError);
        expect((error as EngineError).failure).toEqual({code: 'compacted', compactRevision: 12});
      }
    });

    it('Ensure that calls end with their time, with the link, and at once without one.', async () => {
      const [a, b] = await pair();
      b.answer = () => new Promise(() => undefined);
      expect(await codeOf(a.network.call(b.id, 1, 20))).toBe('timeout');
      expect(await codeOf(a.network.callUrl(b.urls[0], 1, 100))).toBe('timeout');
      const waiting = codeOf(a.network.call(b.id, 1, 60_000));
      await b.network.stop();
      expect(await waiting).toBe('timeoutConnectionLost');
      await world.until(() => a.network.connectedSinceMs(b.id) === undefined, 'the link is seen to be down');
      expect(await codeOf(a.network.call(b.id, 1, 60_000))).toBe('timeoutConnectionLost');
      expect(await codeOf(a.network.callUrl(b.urls[0], 1, 2_000))).toBe('timeoutConnectionLost');
      expect(await codeOf(a.network.call(99n, 1, 60_000))).toBe('memberNotFound');
    });

    it('Ensure that members of different clusters do not talk, except to find out.', async () => {
      const a = await world.start({id: 1n, clusterId: 5n});
      const b = await world.start({id: 2n, clusterId: 6n});
      const unknown = await world.start({id: 3n, clusterId: 0n});
      connect(a, b, unknown);
      b.answer = async () => 'here';
      expect(await codeOf(a.network.callUrl(b.urls[0], 1, 2_000))).toBe('clusterMismatch');
      expect(await unknown.network.callUrl(b.urls[0], 1, 2_000)).toBe('here');
      a.network.send(2n, [heartbeat(1n, 2n, 1)]);
      await world.until(() => a.lost.length > 0, 'the loss is reported');
      expect(a.network.connectedSinceMs(2n)).toBeUndefined();
      expect(unknown.network.connectedSinceMs(2n)).toBeUndefined();
      expect(b.received).toEqual([]);
    });

    it('Ensure that a removed member is not listened to, from the moment it is removed.', async () => {
      const removed = new Set<MemberId>();
      const a = await world.start({id: 1n, isRemoved: (id) => removed.has(id)});
      const b = await world.start({id: 2n});
      connect(a, b);
      await world.until(() => b.network.connectedSinceMs(1n) !== undefined, 'the link stands');
      removed.add(2n);
      a.network.setPeers([]);
      await world.until(() => b.network.connectedSinceMs(1n) === undefined, 'the link is closed');
      expect(await codeOf(b.network.callUrl(a.urls[0], 1, 2_000))).toBe('clusterMismatch');
      expect(b.network.connectedSinceMs(1n)).toBeUndefined();
    });

    it('Ensure that the link to a peer that is no longer wanted is closed.', async () => {
      const removed = new Set<MemberId>();
      const a = await world.start({id: 1n, isRemoved: (id) => removed.has(id)});
      const b = await world.start({id: 2n});
      connect(a, b);
      await world.until(() => a.network.connectedSinceMs(b.id) !== undefined, 'the link stands');
      removed.add(b.id);
      a.network.setPeers([]);
      expect(a.network.connectedSinceMs(b.id)).toBeUndefined();
      expect(await codeOf(a.network.call(b.id, 1, 1_000))).toBe('memberNotFound');
    });

    it('Ensure that a member answers one that it was not told of, and keeps that link while it is called.', async () => {
      const newcomer = await world.start({id: 1n});
      const away = await world.start({id: 2n});
      away.network.setPeers([]);
      newcomer.network.setPeers([peerOf(away)]);
      await world.until(() => away.network.connectedSinceMs(newcomer.id) !== undefined, 'the link back');
      away.network.setPeers([peerOf(newcomer)]);
      away.network.setPeers([]);
      expect(away.network.connectedSinceMs(newcomer.id)).toBeDefined();
      away.network.send(newcomer.id, [heartbeat(away.id, newcomer.id, 7)]);
      await world.until(() => newcomer.received.length === 1, 'the answer');
    });

    it('Ensure that a snapshot arrives with its announcement, and only then is the sender told.', async () => {
      const [a, b] = await pair();
      const chunks = Array.from({length: 30}, (_, i) => Buffer.alloc(10_000, i));
      async function* source(): AsyncGenerator<Uint8Array> {
        yield* chunks;
      }
      await a.network.sendSnapshot(b.id, snapshotMessage(a.id, b.id), source());
      expect(b.snapshots.length).toBe(1);
      expect(b.snapshots[0].from).toBe(a.id);
      expect(b.snapshots[0].announcement).toEqual(snapshotMessage(a.id, b.id));
      expect(Buffer.compare(b.snapshots[0].bytes, Buffer.concat(chunks))).toBe(0);
    });

    it('Ensure that a receiver that needs no more ends the transfer, and the sender reads no further.', async () => {
      const [a, b] = await pair();
      let isClosed = false;
      let read = 0;
      async function* source(): AsyncGenerator<Uint8Array> {
        try {
          for (; read < 10_000; read++) yield Buffer.alloc(100_000);
        } finally {
          isClosed = true;
        }
      }
      b.takeSnapshot = async () => undefined;
      await a.network.sendSnapshot(b.id, snapshotMessage(a.id, b.id), source());
      expect(isClosed).toBe(true);
      expect(read).toBeLessThan(1_000);
      // The links are as they were, and so is the way for the next one.
      b.takeSnapshot = undefined;
      async function* small(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('whole');
      }
      await a.network.sendSnapshot(b.id, snapshotMessage(a.id, b.id), small());
      expect(String(b.snapshots[0].bytes)).toBe('whole');
    });

    it('Ensure that a failure on either side of a snapshot reaches the other.', async () => {
      const [a, b] = await pair();
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(100_000);
      };
      b.takeSnapshot = async () => {
        throw new EngineError({code: 'diskFull', path: 'snap'});
      };
      const announcement = snapshotMessage(a.id, b.id);
      expect(await codeOf(a.network.sendSnapshot(b.id, announcement, pieces()))).toBe('diskFull');

      let received = '';
      b.takeSnapshot = async (chunks) => {
        try {
          for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
          received = 'whole';
        } catch (error) {
          received = (error as EngineError).code;
        }
      };
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(100_000);
        throw new EngineError({code: 'storeCorrupt', path: 'db', detail: 'crc'});
      }
      expect(await codeOf(a.network.sendSnapshot(b.id, announcement, broken()))).toBe('storeCorrupt');
      await world.until(() => received !== '', 'the receiver is told');
      expect(received).toBe('timeoutConnectionLost');
      expect(await codeOf(a.network.sendSnapshot(99n, snapshotMessage(a.id, 99n), pieces()))).toBe(
        'memberNotFound',
      );
    });

    it('Ensure that stop ends everything that is under way, and may be called twice.', async () => {
      const [a, b] = await pair();
      b.answer = () => new Promise(() => undefined);
      const calling = codeOf(a.network.call(b.id, 1, 60_000));
      const asking = codeOf(a.network.callUrl(b.urls[0], 1, 60_000));
      async function* endless(): AsyncGenerator<Uint8Array> {
        for (;;) yield Buffer.alloc(1_000);
      }
      let seen = 0;
      b.takeSnapshot = async (chunks) => {
        for await (const chunk of chunks) seen += chunk.length;
      };
      const sending = codeOf(a.network.sendSnapshot(b.id, snapshotMessage(a.id, b.id), endless()));
      await world.until(() => seen > 0, 'the snapshot flows');
      await a.network.stop();
      await a.network.stop();
      expect(await Promise.all([calling, asking, sending])).toEqual(['stopped', 'stopped', 'stopped']);
      const received = b.received.length;
      a.network.send(b.id, [heartbeat(a.id, b.id, 1)]);
      expect(await codeOf(a.network.call(b.id, 1, 1_000))).toBe('stopped');
      expect(b.received.length).toBe(received);
    });
  });
}
