/**
 * Raft messages as plain arrays, which is what travels (packed by frame-codec.ts): a type number, the term, the
 * sender where it is not the one at the other end of the link, then the type's own fields in a fixed order.
 *
 * Versions: numbers and orders never change their meaning. A new field goes to the end of its array, where an older
 * reader does not look; a new type gets a new number, which an older reader skips. What cannot be read as a message
 * throws {@link MalformedFrameError}: raft sees only messages whose every field has its type and range.
 *
 * Payloads that come out of {@link decodeMessage} are views of the frame they came in. Nobody else uses that
 * memory, so they may be kept.
 */

import {assert} from '../../engine/errors.ts';
import {isCount, isUint64} from '../../engine/lib/plain-data.ts';
import type {ConfState, Entry, EntryType, Message, SnapshotMeta} from '../../engine/raft/message.ts';
import type {MemberId} from '../../engine/types.ts';

/** The other end sent what is no frame of this protocol. */
export class MalformedFrameError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = 'MalformedFrameError';
  }
}

const TYPE = {
  append: 1,
  appendResponse: 2,
  heartbeat: 3,
  heartbeatResponse: 4,
  vote: 5,
  preVote: 6,
  voteResponse: 7,
  preVoteResponse: 8,
  snapshot: 9,
  timeoutNow: 10,
  propose: 11,
  readIndex: 12,
  readIndexResponse: 13,
  transferLeader: 14,
} as const satisfies Record<Message['type'], number>;

/** What a message takes in the queue: its payloads, and a guess at the rest that is never far too small. */
export function messageBytes(message: Message): number {
  let bytes = 64;
  if (message.type === 'append' || message.type === 'propose') {
    for (const {payload} of message.entries) bytes += payload.length + 12;
  } else if (message.type === 'snapshot') {
    const {voters, votersOutgoing, learners, learnersNext} = message.meta.confState;
    bytes += 9 * (voters.length + votersOutgoing.length + learners.length + learnersNext.length);
  }
  return bytes;
}

/** @param self the sender of the link: its own messages need not name it */
export function encodeMessage(message: Message, self: MemberId): unknown[] {
  const {term} = message;
  const from = message.from === self ? 0 : message.from;
  switch (message.type) {
    case 'append':
      return [
        TYPE.append,
        term,
        from,
        message.previousIndex,
        message.previousTerm,
        message.commit,
        encodeEntries(message.previousIndex, message.entries),
      ];
    case 'appendResponse':
      return [
        TYPE.appendResponse,
        term,
        from,
        message.index,
        message.rejected,
        message.hintIndex,
        message.hintTerm,
      ];
    case 'heartbeat':
      return [TYPE.heartbeat, term, from, message.commit, message.readContext];
    case 'heartbeatResponse':
      return [TYPE.heartbeatResponse, term, from, message.readContext];
    case 'vote':
    case 'preVote':
      return [
        TYPE[message.type],
        term,
        from,
        message.lastIndex,
        message.lastTerm,
        message.isTransfer,
        message.commit,
        message.commitTerm,
      ];
    case 'voteResponse':
    case 'preVoteResponse':
      return [TYPE[message.type], term, from, message.rejected, message.commit, message.commitTerm];
    case 'snapshot':
      return [TYPE.snapshot, term, from, ...encodeMeta(message.meta)];
    case 'timeoutNow':
      return [TYPE.timeoutNow, term, from];
    case 'propose':
      return [TYPE.propose, term, from, message.entries.flatMap(({type, payload}) => [type, payload])];
    case 'readIndex':
      return [TYPE.readIndex, term, from, message.context];
    case 'readIndexResponse':
      return [TYPE.readIndexResponse, term, from, message.context, message.index];
    case 'transferLeader':
      return [TYPE.transferLeader, term, from, message.transferee];
  }
}

/** Flat: term, type and payload of each entry in turn. Their indexes follow from `previousIndex`. */
function encodeEntries(previousIndex: number, entries: readonly Entry[]): unknown[] {
  const flat: unknown[] = [];
  let index = previousIndex;
  for (const entry of entries) {
    index++;
    assert(entry.index === index, 'the entries of an append follow its previous index without a gap');
    flat.push(entry.term, entry.type, entry.payload);
  }
  return flat;
}

function encodeMeta({index, term, confState}: SnapshotMeta): unknown[] {
  const {voters, votersOutgoing, learners, learnersNext, autoLeave} = confState;
  return [index, term, voters, votersOutgoing, learners, learnersNext, autoLeave];
}

/**
 * @param from the member at the other end of the link, `to` the one at this end
 * @returns undefined for a type that this version does not know
 * @throws MalformedFrameError
 */
export function decodeMessage(value: unknown, ends: {from: MemberId; to: MemberId}): Message | undefined {
  const fields = list(value);
  const routed = {
    from: fields[2] === 0 ? ends.from : id(fields[2]),
    to: ends.to,
    term: count(fields[1]),
  };
  switch (fields[0]) {
    case TYPE.append: {
      const previousIndex = count(fields[3]);
      return {
        type: 'append',
        ...routed,
        previousIndex,
        previousTerm: count(fields[4]),
        entries: decodeEntries(previousIndex, list(fields[6])),
        commit: count(fields[5]),
      };
    }
    case TYPE.appendResponse:
      return {
        type: 'appendResponse',
        ...routed,
        index: count(fields[3]),
        rejected: flag(fields[4]),
        hintIndex: count(fields[5]),
        hintTerm: count(fields[6]),
      };
    case TYPE.heartbeat:
      return {type: 'heartbeat', ...routed, commit: count(fields[3]), readContext: count(fields[4])};
    case TYPE.heartbeatResponse:
      return {type: 'heartbeatResponse', ...routed, readContext: count(fields[3])};
    default:
      return decodeRareMessage(fields, routed);
  }
}

function decodeRareMessage(
  fields: readonly unknown[],
  routed: {from: MemberId; to: MemberId; term: number},
): Message | undefined {
  switch (fields[0]) {
    case TYPE.vote:
    case TYPE.preVote:
      return {
        type: fields[0] === TYPE.vote ? 'vote' : 'preVote',
        ...routed,
        lastIndex: count(fields[3]),
        lastTerm: count(fields[4]),
        isTransfer: flag(fields[5]),
        commit: count(fields[6]),
        commitTerm: count(fields[7]),
      };
    case TYPE.voteResponse:
    case TYPE.preVoteResponse:
      return {
        type: fields[0] === TYPE.voteResponse ? 'voteResponse' : 'preVoteResponse',
        ...routed,
        rejected: flag(fields[3]),
        commit: count(fields[4]),
        commitTerm: count(fields[5]),
      };
    case TYPE.snapshot:
      return {type: 'snapshot', ...routed, meta: decodeMeta(fields)};
    case TYPE.timeoutNow:
      return {type: 'timeoutNow', ...routed};
    case TYPE.propose:
      return {type: 'propose', ...routed, entries: decodeProposals(list(fields[3]))};
    case TYPE.readIndex:
      return {type: 'readIndex', ...routed, context: count(fields[3])};
    case TYPE.readIndexResponse:
      return {type: 'readIndexResponse', ...routed, context: count(fields[3]), index: count(fields[4])};
    case TYPE.transferLeader:
      return {type: 'transferLeader', ...routed, transferee: id(fields[3])};
    default:
      count(fields[0]);
      return undefined;
  }
}

function decodeEntries(previousIndex: number, flat: readonly unknown[]): Entry[] {
  if (flat.length % 3 !== 0) throw new MalformedFrameError('entries come in threes');
  const entries: Entry[] = [];
  let index = previousIndex;
  for (let i = 0; i < flat.length; i += 3) {
    index++;
    entries.push({
      index,
      term: count(flat[i]),
      type: entryType(flat[i + 1]),
      payload: bytes(flat[i + 2]),
    });
  }
  if (!Number.isSafeInteger(index)) throw new MalformedFrameError('an index beyond all counting');
  return entries;
}

function decodeProposals(flat: readonly unknown[]): {type: EntryType; payload: Uint8Array}[] {
  if (flat.length % 2 !== 0) throw new MalformedFrameError('proposals come in twos');
  const proposals: {type: EntryType; payload: Uint8Array}[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    proposals.push({type: entryType(flat[i]), payload: bytes(flat[i + 1])});
  }
  return proposals;
}

function decodeMeta(fields: readonly unknown[]): SnapshotMeta {
  const confState: ConfState = {
    voters: list(fields[5]).map(id),
    votersOutgoing: list(fields[6]).map(id),
    learners: list(fields[7]).map(id),
    learnersNext: list(fields[8]).map(id),
    autoLeave: flag(fields[9]),
  };
  return {index: count(fields[3]), term: count(fields[4]), confState};
}

function count(value: unknown): number {
  if (!isCount(value)) throw new MalformedFrameError('a count was expected');
  return value;
}

function id(value: unknown): MemberId {
  if (!isUint64(value)) throw new MalformedFrameError('an id was expected');
  return value;
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new MalformedFrameError('a flag was expected');
  return value;
}

function entryType(value: unknown): EntryType {
  if (value !== 0 && value !== 1) throw new MalformedFrameError('an entry type was expected');
  return value;
}

function bytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new MalformedFrameError('bytes were expected');
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new MalformedFrameError('a list was expected');
  return value;
}
