/**
 * Proposals as bytes of the log. The first byte is the format's version, the second the kind of command; then
 * proposer (u64 BE), request id (f64 BE) and the command's fields. Strings stand behind their length; numbers that
 * a client chose are f64, since they may be any int64 rounded to one.
 *
 * Decoding takes nothing on trust: each length is held against the bytes that are left before anything is made of
 * it. Keys and values of a decoded proposal are views of the payload: valid while it is, and copied by whoever
 * keeps them (the state machine does, when it encodes records).
 */

import {assert, EngineError} from '../errors.ts';
import {ByteWriter} from '../lib/byte-writer.ts';
import {ByteReader, DamagedBytesError} from '../lib/varint.ts';
import type {LeaseId} from '../types.ts';
import type {Command, Proposal} from './command.ts';
import {
  readDeleteRange,
  readList,
  readPut,
  readTxn,
  writeDeleteRange,
  writePut,
  writeTxn,
} from './request-codec.ts';

const VERSION = 1;
/** Never renumber: these stand in logs. */
const KINDS: Readonly<Record<Command['type'], number>> = {
  put: 1,
  deleteRange: 2,
  txn: 3,
  compact: 4,
  leaseGrant: 5,
  leaseRevoke: 6,
  leaseCheckpoint: 11,
  alarm: 8,
  memberAttributes: 9,
  clusterVersion: 10,
};
/** A leaseCheckpoint as it was written before it named its proposer's term: read, and no longer written. */
const CHECKPOINT_WITHOUT_TERM = 7;
const TYPES = new Map(Object.entries(KINDS).map(([type, kind]) => [kind, type as Command['type']]));
TYPES.set(CHECKPOINT_WITHOUT_TERM, 'leaseCheckpoint');

const writer = new ByteWriter();

/** @throws EngineError tooManyOps for transactions nested too deep */
export function encodeProposal({proposer, requestId, command}: Proposal): Uint8Array {
  assert(Number.isSafeInteger(requestId), 'a request id is a safe integer');
  assert(KINDS[command.type] !== undefined, 'every command has its kind');
  writer.reset();
  writer.byte(VERSION);
  writer.byte(KINDS[command.type]);
  writer.uint64(proposer);
  writer.float64(requestId);
  writeCommand(writer, command);
  return writer.finish();
}

/** By its head alone, for who looks for this one among many. */
export function isMemberAttributes(payload: Uint8Array): boolean {
  return payload.length > 1 && payload[0] === VERSION && payload[1] === KINDS.memberAttributes;
}

/** @throws EngineError formatUnsupported for another version's bytes, walCorrupt for damaged ones */
export function decodeProposal(payload: Uint8Array): Proposal {
  const reader = new ByteReader(payload);
  try {
    const version = reader.byte();
    if (version !== VERSION) throw unsupported('version', version, String(VERSION));
    const kind = reader.byte();
    const type = TYPES.get(kind);
    if (type === undefined) throw unsupported('command', kind, `1 to ${TYPES.size}`);
    const proposer = reader.uint64();
    const requestId = reader.float64();
    if (!Number.isSafeInteger(requestId)) throw new DamagedBytesError('no request id', reader.position);
    const command = readCommand(reader, type, kind);
    if (reader.remaining > 0) throw new DamagedBytesError('bytes left over', reader.position);
    return {proposer, requestId, command};
  } catch (error) {
    if (!(error instanceof DamagedBytesError)) throw error;
    const {message: detail, offset} = error;
    throw new EngineError({code: 'walCorrupt', path: 'log entry', offset, detail}, error);
  }
}

function writeCommand(to: ByteWriter, command: Command): void {
  switch (command.type) {
    case 'put':
      writePut(to, command.request);
      return;
    case 'deleteRange':
      writeDeleteRange(to, command.request);
      return;
    case 'txn':
      writeTxn(to, command.request, 1);
      return;
    case 'compact':
      to.float64(command.revision);
      return;
    case 'leaseGrant':
      to.uint64(command.id);
      to.float64(command.ttlSeconds);
      return;
    case 'leaseRevoke':
      to.uint64(command.id);
      to.varint(command.proposerTerm);
      return;
    case 'leaseCheckpoint':
      to.varint(command.proposerTerm);
      to.varint(command.leases.length);
      for (const {id, remainingTtlSeconds} of command.leases) {
        to.uint64(id);
        to.float64(remainingTtlSeconds);
      }
      return;
    case 'alarm':
      to.byte(command.action === 'activate' ? 1 : 0);
      to.uint64(command.memberId);
      to.varint(command.alarm);
      return;
    case 'memberAttributes':
      to.uint64(command.memberId);
      writeText(to, command.name);
      to.varint(command.clientURLs.length);
      for (const url of command.clientURLs) writeText(to, url);
      return;
    case 'clusterVersion':
      writeText(to, command.version);
      return;
  }
}

function readCommand(from: ByteReader, type: Command['type'], kind: number): Command {
  switch (type) {
    case 'put':
      return {type, request: readPut(from)};
    case 'deleteRange':
      return {type, request: readDeleteRange(from)};
    case 'txn':
      return {type, request: readTxn(from, 1)};
    case 'compact':
      return {type, revision: from.float64()};
    case 'leaseGrant':
      return {type, id: readLeaseId(from), ttlSeconds: from.float64()};
    case 'leaseRevoke':
      return {type, id: readLeaseId(from), proposerTerm: from.varint()};
    case 'leaseCheckpoint': {
      const proposerTerm = kind === CHECKPOINT_WITHOUT_TERM ? 0 : from.varint();
      const one = () => ({id: readLeaseId(from), remainingTtlSeconds: from.float64()});
      return {type, proposerTerm, leases: readList(from, 16, one)};
    }
    case 'alarm': {
      const action = from.byte() === 1 ? 'activate' : 'deactivate';
      return {type, action, memberId: from.uint64(), alarm: from.varint()};
    }
    case 'memberAttributes':
      return {
        type,
        memberId: from.uint64(),
        name: readText(from),
        clientURLs: readList(from, 1, () => readText(from)),
      };
    case 'clusterVersion':
      return {type, version: readText(from)};
  }
}

function readLeaseId(from: ByteReader): LeaseId {
  return BigInt.asIntN(64, from.uint64());
}

function writeText(to: ByteWriter, text: string): void {
  to.prefixed(Buffer.from(text, 'utf8'));
}

function readText(from: ByteReader): string {
  return Buffer.from(from.prefixed()).toString('utf8');
}

function unsupported(what: string, found: number, supported: string): EngineError {
  return new EngineError({
    code: 'formatUnsupported',
    path: `log entry ${what}`,
    found: String(found),
    supported,
  });
}
