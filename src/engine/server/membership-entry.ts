/**
 * The context of a membership change in the log: which request it answers, and the member it is about. Raft passes
 * it through unread.
 */

import {EngineError} from '../errors.ts';
import {hex64} from '../lib/hex64.ts';
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

/** @throws EngineError formatUnsupported when a newer kvd wrote it */
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
  const {type, member, learnersMax} = JSON.parse(bytes.toString('utf8', HEADER_BYTES));
  return {
    proposer: bytes.readBigUInt64BE(1),
    requestId: bytes.readDoubleBE(9),
    change: {type, member: {...member, id: BigInt(`0x${member.id}`)}, learnersMax},
  };
}
