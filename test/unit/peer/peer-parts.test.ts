/** The pure parts of the peer transport: URLs, handshake, queue. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {PEER_TOLD_URLS_BYTES_MAX, PEER_TOLD_URLS_MAX} from '../../../src/engine/limits.ts';
import type {Message} from '../../../src/engine/raft/message.ts';
import {
  type Hello,
  helloHeaders,
  judgeHello,
  judgeWelcome,
  type PeerPurpose,
  readHello,
  readRefusal,
  readWelcome,
  welcomeHeaders,
  writeRefusal,
} from '../../../src/transport/peer/handshake.ts';
import {PeerQueue} from '../../../src/transport/peer/peer-queue.ts';
import {parsePeerUrl} from '../../../src/transport/peer/peer-url.ts';

describe('peer URL', () => {
  it.each([
    ['http://10.0.0.1:2380', {isTls: false, at: {host: '10.0.0.1', port: 2380}}],
    ['http://10.0.0.1:2380/', {isTls: false, at: {host: '10.0.0.1', port: 2380}}],
    ['https://kvd-0.kvd.svc:443', {isTls: true, at: {host: 'kvd-0.kvd.svc', port: 443}}],
    ['http://[::1]:0', {isTls: false, at: {host: '::1', port: 0}}],
    ['http://[fe80::1%eth0]:1', {isTls: false, at: {host: 'fe80::1%eth0', port: 1}}],
    ['http://:2380', {isTls: false, at: {host: '', port: 2380}}],
    ['unix:///run/kvd/peer.sock', {isTls: false, at: {socketPath: '/run/kvd/peer.sock'}}],
    ['unixs:///run/a:b', {isTls: true, at: {socketPath: '/run/a:b'}}],
    ['unix://localhost:2380', {isTls: false, at: {socketPath: 'localhost:2380'}}],
  ])('Ensure that %s is read.', (text, expected) => {
    expect(parsePeerUrl(text)).toEqual({text, ...expected});
  });

  it.each([
    '',
    'localhost:2380',
    'http://localhost',
    'http://a:99999',
    'http://a:1/path',
    'http://a b:1',
    'http://u@a:1',
    'ftp://a:1',
    'unix://',
    'http://::1:2380',
  ])('Ensure that "%s" is refused.', (text) => {
    expect(() => parsePeerUrl(text)).toThrow(EngineError);
  });
});

const hello: Hello = {
  protocol: {min: 1, max: 3},
  clusterId: 0xffff_ffff_ffff_ffffn,
  memberId: 1n,
  to: 2n,
  peerUrls: [],
};
const self = {clusterId: hello.clusterId, memberId: 2n};

function judge(changes: Partial<Hello>, purpose: PeerPurpose = 'link', here = self): string | number {
  const range = {min: 2, max: 5};
  const verdict = judgeHello({
    hello: {...hello, ...changes},
    self: here,
    purpose,
    range,
    isRemoved: (id) => id === 13n,
  });
  return 'code' in verdict ? verdict.code : verdict.version;
}

describe('peer handshake', () => {
  it('Ensure that both ends read what the other wrote.', () => {
    expect(readHello(helloHeaders(hello))).toEqual(hello);
    const welcome = {...self, protocol: 3};
    expect(readWelcome(welcomeHeaders(welcome))).toEqual(welcome);
    const refusal = {code: 'cluster', detail: 'cluster 1 asked, 2 is here'} as const;
    expect(readRefusal({'kvd-refusal': writeRefusal(refusal)})).toEqual(refusal);
  });

  it('Ensure that the peer URLs arrive as they are, and only usable ones, as many as there is room for.', () => {
    const urls = [
      'http://10.0.0.1:2380',
      'http://[fe80::1%eth0]:1',
      'unix:///run/a, b/\u00e4',
      'https://kvd-0:443/',
    ];
    expect(readHello(helloHeaders({...hello, peerUrls: urls}))?.peerUrls).toEqual(urls);
    const read = (text: string) => readHello({...helloHeaders(hello), 'kvd-peer-urls': text})?.peerUrls;
    expect(read('http://a:1,quic://a:2,,%,http://b:3')).toEqual(['http://a:1', 'http://b:3']);
    expect(read(Array.from({length: PEER_TOLD_URLS_MAX + 5}, (_, i) => `http://a:${i}`).join())).toHaveLength(
      PEER_TOLD_URLS_MAX,
    );
    expect(read(`unix:///${'x'.repeat(PEER_TOLD_URLS_BYTES_MAX)}`)).toEqual([]);
    const long = `unix:///${'x'.repeat(PEER_TOLD_URLS_BYTES_MAX - 100)}`;
    expect(readHello(helloHeaders({...hello, peerUrls: [long, long, urls[0]]}))?.peerUrls).toEqual([
      long,
      urls[0],
    ]);
    const many = Array.from({length: PEER_TOLD_URLS_MAX + 5}, () => urls[0]);
    expect(readHello(helloHeaders({...hello, peerUrls: many}))?.peerUrls).toHaveLength(PEER_TOLD_URLS_MAX);
  });

  it('Ensure that headers which are no handshake are not taken for one.', () => {
    for (const name of Object.keys(helloHeaders(hello))) {
      for (const bad of [undefined, '', 'x', '-1', '1'.repeat(30), '0x1']) {
        const read = readHello({...helloHeaders(hello), [name]: bad});
        expect(read).toBeUndefined();
      }
    }
  });

  it('Ensure that the highest common version is chosen, and none is refused.', () => {
    expect(judge({})).toBe(3);
    expect(judge({protocol: {min: 5, max: 9}})).toBe(5);
    expect(judge({protocol: {min: 1, max: 1}})).toBe('protocol');
    expect(judge({protocol: {min: 6, max: 6}})).toBe('protocol');
  });

  it('Ensure that clusters, members and removals are told apart.', () => {
    expect(judge({clusterId: 5n})).toBe('cluster');
    expect(judge({clusterId: 0n})).toBe('cluster');
    expect(judge({to: 3n})).toBe('member');
    expect(judge({to: 0n})).toBe('member');
    expect(judge({memberId: 2n})).toBe('member');
    expect(judge({memberId: 0n})).toBe('member');
    expect(judge({memberId: 13n})).toBe('removed');
    expect(judge({}, 'snapshot')).toBe(3);
  });

  it('Ensure that only discovery calls may know nothing yet.', () => {
    expect(judge({clusterId: 0n, memberId: 0n, to: 0n}, 'call')).toBe(3);
    expect(judge({to: 0n}, 'call', {clusterId: 0n, memberId: 0n})).toBe(3);
    expect(judge({clusterId: 5n, to: 0n}, 'call')).toBe('cluster');
    expect(judge({clusterId: 0n}, 'link', {clusterId: 0n, memberId: 2n})).toBe('cluster');
    expect(judge({memberId: 13n, to: 0n}, 'call')).toBe('removed');
  });

  it('Ensure that the dialler checks who answered.', () => {
    const welcome = {...self, protocol: 2};
    expect(judgeWelcome({hello, welcome})).toBeUndefined();
    expect(judgeWelcome({hello, welcome: {...welcome, protocol: 4}})?.code).toBe('protocol');
    expect(judgeWelcome({hello, welcome: {...welcome, clusterId: 9n}})?.code).toBe('cluster');
    expect(judgeWelcome({hello, welcome: {...welcome, memberId: 9n}})?.code).toBe('member');
  });
});

const routed = {from: 1n, to: 2n, term: 1};
const appendOf = (index: number, bytes: number): Message => ({
  type: 'append',
  ...routed,
  previousIndex: index - 1,
  previousTerm: 1,
  commit: 0,
  entries: [{index, term: 1, type: 0, payload: Buffer.alloc(bytes)}],
});

describe('peer queue', () => {
  it('Ensure that urgent messages overtake bulky ones, and that each lane keeps its order.', () => {
    const queue = new PeerQueue();
    for (let i = 1; i <= 5_000; i++) queue.push(appendOf(i, 100));
    queue.push({type: 'heartbeat', ...routed, commit: 1, readContext: 0});
    queue.push({type: 'timeoutNow', ...routed});
    const seen: Message[] = [];
    while (!queue.isEmpty) {
      const batch = queue.take(10_000);
      expect(batch.length).toBeLessThan(100);
      seen.push(...batch);
    }
    expect(seen.slice(0, 2).map(({type}) => type)).toEqual(['heartbeat', 'timeoutNow']);
    expect(seen.slice(2).map((message) => message.type === 'append' && message.previousIndex)).toEqual(
      Array.from({length: 5_000}, (_, i) => i),
    );
    expect(queue.bytes).toBe(0);
  });

  it('Ensure that a message larger than a batch goes alone.', () => {
    const queue = new PeerQueue();
    queue.push(appendOf(1, 50_000));
    queue.push(appendOf(2, 50_000));
    expect(queue.take(1_000).length).toBe(1);
    expect(queue.bytes).toBeGreaterThan(50_000);
    expect(queue.clear()).toBe(1);
    expect(queue.bytes).toBe(0);
    expect(queue.isEmpty).toBe(true);
  });
});
