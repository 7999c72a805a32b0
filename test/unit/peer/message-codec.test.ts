import {describe, expect, it} from 'vitest';
import type {Message} from '../../../src/engine/raft/message.ts';
import {packMessages, unpackFrame} from '../../../src/transport/peer/frame-codec.ts';
import {
  decodeMessage,
  encodeMessage,
  MalformedFrameError,
  messageBytes,
} from '../../../src/transport/peer/message-codec.ts';

const FROM = 0xfedcba9876543210n;
const TO = 7n;
const routed = {from: FROM, to: TO, term: 2 ** 40};
const payload = Buffer.from([0xc1, 0, 255]);

const MESSAGES: readonly Message[] = [
  {
    type: 'append',
    ...routed,
    previousIndex: 9,
    previousTerm: 3,
    commit: 8,
    entries: [
      {index: 10, term: 4, type: 0, payload},
      {index: 11, term: 5, type: 1, payload: Buffer.alloc(0)},
    ],
  },
  {type: 'append', ...routed, previousIndex: 0, previousTerm: 0, commit: 0, entries: []},
  {type: 'appendResponse', ...routed, index: 2 ** 45, rejected: true, hintIndex: 4, hintTerm: 2},
  {type: 'heartbeat', ...routed, commit: 5, readContext: 77},
  {type: 'heartbeatResponse', ...routed, readContext: 77},
  {type: 'vote', ...routed, lastIndex: 3, lastTerm: 2, isTransfer: true, commit: 40, commitTerm: 2},
  {type: 'preVote', ...routed, lastIndex: 3, lastTerm: 2, isTransfer: false, commit: 40, commitTerm: 2},
  {type: 'voteResponse', ...routed, rejected: false, commit: 40, commitTerm: 2},
  {type: 'preVoteResponse', ...routed, rejected: true, commit: 40, commitTerm: 2},
  {
    type: 'snapshot',
    ...routed,
    meta: {
      index: 10,
      term: 2,
      confState: {
        voters: [1n, FROM],
        votersOutgoing: [2n],
        learners: [],
        learnersNext: [3n],
        autoLeave: true,
      },
    },
  },
  {type: 'timeoutNow', ...routed},
  {
    type: 'propose',
    ...routed,
    entries: [
      {type: 0, payload},
      {type: 1, payload},
    ],
  },
  {type: 'readIndex', ...routed, context: 1},
  {type: 'readIndexResponse', ...routed, context: 1, index: 100},
  {type: 'transferLeader', ...routed, transferee: FROM},
];

function roundTrip(message: Message, self: bigint): Message | undefined {
  const frame = unpackFrame(packMessages([encodeMessage(message, self)]));
  if (frame.type !== 'messages') throw new Error(frame.type);
  return decodeMessage(frame.messages[0], {from: self, to: TO});
}

describe('message codec', () => {
  it.each(MESSAGES)('Ensure that $type survives the way over the wire.', (message) => {
    expect(roundTrip(message, FROM)).toEqual(message);
  });

  it('Ensure that a message passed on for another member keeps its sender.', () => {
    expect(roundTrip({type: 'readIndex', ...routed, context: 1}, 99n)).toMatchObject({from: FROM});
  });

  it('Ensure that equal messages give equal bytes.', () => {
    for (const message of MESSAGES) {
      const twice = [0, 1].map(() => packMessages([encodeMessage(message, FROM)]));
      expect(Buffer.compare(twice[0], twice[1])).toBe(0);
    }
  });

  it('Ensure that payloads are views of the frame, not copies.', () => {
    const frame = packMessages([encodeMessage(MESSAGES[0], FROM)]);
    const unpacked = unpackFrame(frame);
    const message = unpacked.type === 'messages' && decodeMessage(unpacked.messages[0], {from: FROM, to: TO});
    expect(message && message.type === 'append' && message.entries[0].payload.buffer === frame.buffer).toBe(
      true,
    );
  });

  it('Ensure that the queue never takes a message for far smaller than it is.', () => {
    for (const message of MESSAGES) {
      expect(messageBytes(message)).toBeGreaterThanOrEqual(
        packMessages([encodeMessage(message, 0n)]).length - 20,
      );
    }
  });

  it('Ensure that types and fields of a later version are passed over.', () => {
    expect(decodeMessage([200, 1, 0, 'whatever'], {from: 1n, to: 2n})).toBeUndefined();
    expect(decodeMessage([3, 1, 0, 5, 6, 'a later field'], {from: 1n, to: 2n})).toMatchObject({commit: 5});
    expect(unpackFrame(Buffer.from([0x92, 60, 1]))).toEqual({type: 'unknown'});
  });

  it('Ensure that whatever is cut or flipped is either a message or malformed, never anything else.', () => {
    for (const message of MESSAGES) {
      const good = Buffer.from(packMessages([encodeMessage(message, FROM)]));
      for (let at = 0; at < good.length; at++) {
        for (const bad of [good.subarray(0, at), flipped(good, at, 0xff), flipped(good, at, 1)])
          expectNoHarm(bad);
      }
    }
  });
});

function flipped(bytes: Buffer, at: number, mask: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] ^= mask;
  return copy;
}

function expectNoHarm(bytes: Buffer): void {
  try {
    const frame = unpackFrame(bytes);
    if (frame.type !== 'messages') return;
    for (const value of frame.messages) {
      const message = decodeMessage(value, {from: FROM, to: TO});
      if (message !== undefined) expect(Number.isSafeInteger(message.term)).toBe(true);
    }
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedFrameError);
  }
}
