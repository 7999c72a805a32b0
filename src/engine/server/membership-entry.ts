/**
 * The context of a membership change in the log: which request it answers, and the member it is about. Raft passes
 * it through unread.
 */

import {EngineError} from '../errors.ts';
import {hex64} from '../lib/hex64.ts';
import {isCount, isObject, isTextList, parseHex64} from '../lib/plain-data.ts';
import type {MembershipChange} from '../state-machine/members.ts';
import type {MemberId} from '../types.ts';

export interface MembershipRequest {
  readonly proposer: MemberId;
  /** 0: nobody waits (the entries a new cluster begins with). */
  readonly requestId: number;
  readonly change: MembershipChange;
}

const VERSION = 1;
const HEADER_BYTES = 17;
const TYPES: readonly unknown[] = ['add', 'promote', 'remove', 'update'] satisfies MembershipChange['type'][];

/** Layout: version, proposer (u64 BE), request id (f64 BE), then the change as JSON with ids in hex. */
export function encodeMembershipRequest(request: MembershipRequest): Uint8Array {
  const {member, type, learnersMax} = request.change;
  const json = JSON.stringify({type, member: {...member, id: hex64(member.id)}, learnersMax});
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + Buffer.byteLength(json));
  bytes[0] = VERSION;
  bytes.writeBigUInt64BE(request.proposer, 1);
  bytes.writeDoubleBE(request.requestId, 9);
  bytes.write(json, HEADER_BYTES);
  return bytes;
}

/** @throws EngineError formatUnsupported when a newer kvd wrote it, walCorrupt for damaged bytes */
export function decodeMembershipRequest(context: Uint8Array): MembershipRequest {
  const bytes = Buffer.from(context.buffer, context.byteOffset, context.length);
  if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) {
    const found = bytes.length === 0 ? 'empty' : String(bytes[0]);
    throw new EngineError({
      code: 'formatUnsupported',
      path: 'membership change',
      found,
      supported: String(VERSION),
    });
  }
  const requestId = bytes.readDoubleBE(9);
  const change = readChange(bytes.toString('utf8', HEADER_BYTES));
  if (change === undefined || !Number.isSafeInteger(requestId)) {
    const detail = 'a membership change is damaged';
    throw new EngineError({code: 'walCorrupt', path: 'log entry', offset: 0, detail});
  }
  return {proposer: bytes.readBigUInt64BE(1), requestId, change};
}

/** Undefined: it is none. */
function readChange(json: string): MembershipChange | undefined {
  const value = parsed(json);
  if (!isObject(value) || !TYPES.includes(value.type) || !isObject(value.member)) return undefined;
  const {id: idText, name, peerURLs, clientURLs, isLearner} = value.member;
  const id = parseHex64(idText);
  const isSound = typeof name === 'string' && isTextList(peerURLs) && isTextList(clientURLs);
  if (id === undefined || !isSound || typeof isLearner !== 'boolean') return undefined;
  const {learnersMax} = value;
  if (learnersMax !== undefined && !isCount(learnersMax)) return undefined;
  const type = value.type as MembershipChange['type'];
  return {type, member: {id, name, peerURLs, clientURLs, isLearner}, learnersMax};
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // The caller says that it is damaged.
    return undefined;
  }
}
