/** What other members send: handshakes, frames, the control words of a snapshot, messages to raft. */

import {Packr} from 'msgpackr';
import {EngineError} from '../../src/engine/errors.ts';
import type {Message} from '../../src/engine/raft/message.ts';
import {statusOf} from '../../src/transport/api/error-status.ts';
import {
  packAnswer,
  packCall,
  packFailure,
  packMessages,
  packValue,
  unpackFrame,
} from '../../src/transport/peer/frame-codec.ts';
import {
  helloHeaders,
  judgeHello,
  judgeWelcome,
  REFUSAL_HEADER,
  readHello,
  readRefusal,
  readWelcome,
  welcomeHeaders,
  writeRefusal,
} from '../../src/transport/peer/handshake.ts';
import {
  decodeMessage,
  encodeMessage,
  MalformedFrameError,
  messageBytes,
} from '../../src/transport/peer/message-codec.ts';
import {readControl, writeControl} from '../../src/transport/peer/snapshot-sender.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {confStateOf, freshDisk, RaftMember} from '../unit/raft/raft-member.ts';
import {silentLogger} from '../unit/state-machine/machine.ts';
import {BrokenPromise, type FuzzTarget, neverRefuses, promise, promiseSame} from './fuzz-target.ts';
import {oneOf} from './mutate.ts';
import {changedText, jsonText, mutatedValue} from './mutate-value.ts';

const FROM = 2n;
const TO = 1n;
const payload = Buffer.from('payload');
const routed = {from: FROM, to: TO, term: 5};
const confState = confStateOf({voters: [1n, 2n, 2n ** 64n - 1n], learners: [4n]});
const entry = (index: number, term: number) => ({index, term, type: 0 as const, payload});

/** One of each type, and some that go together. */
const MESSAGES: readonly Message[] = [
  {
    type: 'append',
    ...routed,
    previousIndex: 9,
    previousTerm: 3,
    commit: 8,
    entries: [entry(10, 4), entry(11, 5)],
  },
  {
    type: 'append',
    ...routed,
    previousIndex: 1,
    previousTerm: 1,
    commit: 2,
    entries: [entry(2, 1), entry(3, 5)],
  },
  {type: 'appendResponse', ...routed, index: 3, rejected: true, hintIndex: 2, hintTerm: 1},
  {type: 'heartbeat', ...routed, commit: 2, readContext: 4},
  {type: 'heartbeatResponse', ...routed, readContext: 4},
  {type: 'vote', ...routed, lastIndex: 3, lastTerm: 2, isTransfer: true, commit: 40, commitTerm: 2},
  {type: 'preVote', ...routed, lastIndex: 3, lastTerm: 2, isTransfer: false, commit: 0, commitTerm: 0},
  {type: 'voteResponse', ...routed, rejected: false, commit: 3, commitTerm: 1},
  {type: 'preVoteResponse', ...routed, rejected: false, commit: 3, commitTerm: 1},
  {type: 'snapshot', ...routed, meta: {index: 12, term: 4, confState}},
  {type: 'timeoutNow', ...routed},
  {
    type: 'propose',
    ...routed,
    entries: [
      {type: 0, payload},
      {type: 1, payload},
    ],
  },
  {type: 'readIndex', ...routed, context: 7},
  {type: 'readIndexResponse', ...routed, context: 1, index: 100},
  {type: 'transferLeader', ...routed, transferee: 2n},
];

const CALLS = [
  {type: 'cluster'},
  {type: 'leaseRenew', id: -7n},
  {type: 'membership', operation: {type: 'add', peerURLs: ['http://a:1'], isLearner: true}},
];
/** Has a form for numbers of any length, as a frame may. */
const packr = new Packr({useRecords: false, mapsAsObjects: true, useBigIntExtension: true});

const FRAMES = [
  ...MESSAGES.map((message) => packMessages([encodeMessage(message, FROM)])),
  packMessages(MESSAGES.map((message) => encodeMessage(message, FROM))),
  ...CALLS.map((call, id) => packCall(id, call)),
  packAnswer(3, {type: 'stateHash', hash: 5, term: 2}),
  packFailure(1, {code: 'unhealthy'}),
  packFailure(2, {code: 'memberUrlsBad', urls: ['a', 'b']}),
  packValue(encodeMessage(MESSAGES[9], FROM)),
];

function malformedFrame(random: SeededRandom): Uint8Array {
  return packed(mutatedValue(random, packr.unpack(oneOf(random, FRAMES))));
}

function packed(value: unknown): Uint8Array {
  try {
    return packr.pack(value);
  } catch {
    // Too deep for the packer, or a number that it has no form for.
    return FRAMES[0];
  }
}

/** @returns the messages in a frame that passed every check */
function readFrame(bytes: Buffer): Message[] {
  const frame = unpackFrame(bytes);
  if (frame.type === 'failure') {
    // What the asker is told.
    promise(new EngineError(frame.failure) instanceof Error, 'a failure becomes an error');
    promise(statusOf(frame.failure.code).message.length > 0, 'a failure has a message for clients');
  }
  if (frame.type !== 'messages') return [];
  return frame.messages.flatMap((value) => decodeMessage(value, {from: FROM, to: TO}) ?? []);
}

const isMalformedFrame = (error: unknown) => error instanceof MalformedFrameError;

const FRAMES_TARGET: FuzzTarget = {
  name: 'peer-frames',
  samples: FRAMES,
  malform: malformedFrame,
  run: (bytes) => {
    for (const message of readFrame(bytes)) {
      promise(messageBytes(message) > 0, 'a message has a size');
      promise(message.from < 2n ** 64n, 'ids of 64 bits');
      const again = unpackFrame(packMessages([encodeMessage(message, FROM)]));
      const [value] = again.type === 'messages' ? again.messages : [];
      promiseSame(decodeMessage(value, {from: FROM, to: TO}), message);
    }
  },
  isRefusal: isMalformedFrame,
};

/** A follower with a log of its own, or a leader: whatever peers say, raft breaks nothing. */
function raftMember(random: SeededRandom): RaftMember {
  const disk = freshDisk(confStateOf({voters: [1n, 2n, 3n]}), {index: 1, term: 1});
  disk.hardState = {term: 2, vote: 0n, commit: 2};
  disk.entries = [2, 3, 4].map((index) => entry(index, index === 4 ? 2 : 1));
  const member = new RaftMember({
    id: TO,
    electionTicks: 3,
    heartbeatTicks: 1,
    random,
    logger: silentLogger,
    disk,
  });
  if (random.below(2) === 0) return member;
  for (let n = 0; n < 6; n++) member.raft?.tick();
  settle(member);
  for (const type of ['preVoteResponse', 'voteResponse'] as const) {
    const term = type === 'preVoteResponse' ? 3 : 3;
    member.raft?.step({type, from: 3n, to: TO, term, rejected: false, commit: 0, commitTerm: 0});
    settle(member);
  }
  return member;
}

function settle(member: RaftMember): void {
  while (member.takeReady() !== undefined) while (member.writes.length > 0) member.sync();
}

const RAFT_TARGET: FuzzTarget = {
  name: 'raft-messages',
  samples: FRAMES.slice(0, MESSAGES.length + 1),
  malform: (random) => {
    // Several, small numbers: those that raft has to take seriously.
    const messages = Array.from({length: 1 + random.below(5)}, () => {
      const encoded = encodeMessage(oneOf(random, MESSAGES), FROM);
      return encoded.map((field, at) => {
        // The type and the sender stay.
        if (at === 0 || at === 2 || typeof field !== 'number') return field;
        return random.below(2) === 0 ? random.below(8) : field;
      });
    });
    if (random.below(4) > 0) return packMessages(messages);
    const at = random.below(messages.length);
    return packed([0, ...messages.with(at, mutatedValue(random, messages[at]) as unknown[])]);
  },
  run: (bytes) => {
    const messages = readFrame(bytes);
    const member = raftMember(new SeededRandom(bytes.length));
    let commit = member.raft?.status().commit ?? 0;
    for (const message of messages) {
      member.raft?.step(message);
      settle(member);
      member.raft?.tick();
      const now = member.raft?.status().commit ?? 0;
      promise(now >= commit, 'the commit index does not go back');
      commit = now;
    }
  },
  isRefusal: isMalformedFrame,
};

const HELLO = {
  protocol: {min: 1, max: 1},
  clusterId: 0xaan,
  memberId: 7n,
  to: 8n,
  peerUrls: ['http://a:1', 'unix:///x,y'],
};
const HEADER_SAMPLES = [
  helloHeaders(HELLO),
  welcomeHeaders({protocol: 1, clusterId: 0xaan, memberId: 8n}),
  {[REFUSAL_HEADER]: writeRefusal({code: 'busy', detail: 'x'})},
].map((headers) =>
  Buffer.from(
    Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
  ),
);

const HANDSHAKE_TARGET: FuzzTarget = {
  name: 'peer-handshake',
  samples: HEADER_SAMPLES,
  malform: (random) => {
    const lines = String(oneOf(random, HEADER_SAMPLES)).split('\n');
    const at = random.below(lines.length);
    const [name, value] = lines[at].split(': ');
    lines[at] = `${name}: ${changedText(random, value)}`;
    return Buffer.from(lines.join('\n'), 'latin1');
  },
  run: (bytes) => {
    const pairs = bytes
      .toString('latin1')
      .split('\n')
      .map((line) => line.split(': '));
    const headers = Object.fromEntries(pairs.map(([name, value]) => [name, value]));
    const hello = readHello(headers);
    if (hello !== undefined) {
      promiseSame(readHello(helloHeaders(hello)), hello);
      judgeHello({
        hello,
        self: {clusterId: 0xaan, memberId: 8n},
        purpose: 'link',
        range: {min: 1, max: 1},
        isRemoved: () => false,
      });
    }
    const welcome = readWelcome(headers);
    if (welcome !== undefined) {
      promiseSame(readWelcome(welcomeHeaders(welcome)), welcome);
      judgeWelcome({welcome, hello: HELLO});
    }
    const refusal = readRefusal(headers);
    if (refusal !== undefined) promiseSame(readRefusal({[REFUSAL_HEADER]: writeRefusal(refusal)}), refusal);
  },
  // A handshake that is none is undefined, not an error.
  isRefusal: neverRefuses,
};

const CONTROLS = [
  writeControl({type: 'end', bytes: 5, crc: 7}),
  writeControl({type: 'working'}),
  writeControl({type: 'taken'}),
  writeControl({type: 'failed', failure: {code: 'snapshotInvalid', detail: 'x'}}),
].map((text) => Buffer.from(text));

const CONTROL_TARGET: FuzzTarget = {
  name: 'snapshot-control',
  samples: CONTROLS,
  malform: (random) =>
    Buffer.from(jsonText(mutatedValue(random, JSON.parse(String(oneOf(random, CONTROLS)))))),
  run: (bytes) => {
    const control = readControl(bytes);
    if (control === undefined) return;
    if (control.type === 'failed') new EngineError(control.failure);
    else if (!['end', 'working', 'taken'].includes(control.type))
      throw new BrokenPromise('a word that nobody knows');
    promiseSame(readControl(Buffer.from(writeControl(control))), control);
  },
  // What is not understood is undefined.
  isRefusal: neverRefuses,
};

export const PEER_TARGETS: readonly FuzzTarget[] = [
  FRAMES_TARGET,
  RAFT_TARGET,
  HANDSHAKE_TARGET,
  CONTROL_TARGET,
];
