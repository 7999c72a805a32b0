/** What a server answered to one operation, and whether two servers answered the same. */

import {GrpcError} from '../../../src/transport/http2/grpc-status.ts';
import {decodeAnswer, type Message} from '../../process/raw-grpc.ts';
import {commonFields} from '../differential/common-fields.ts';

export type Answer =
  | {readonly error: string}
  /** `body`: the message's bytes without the header. */
  | {readonly revision: number; readonly body: Buffer};

/** The header comes first in every answer: its field's number is 1. */
const HEADER_TAG = 0x0a;
const REVISION_TAG = 0x18;
/** What came on these is kept as text. */
const STREAMS = new Set(['Watch/Watch', 'Lease/LeaseKeepAlive']);

export function answerOf(bytes: Buffer): Answer {
  if (bytes[0] !== HEADER_TAG) return {revision: 0, body: bytes};
  const [length, from] = varintAt(bytes, 1);
  const end = from + length;
  let revision = 0;
  for (let at = from; at < end; ) {
    const tag = bytes[at];
    const [value, next] = varintAt(bytes, at + 1);
    if (tag === REVISION_TAG) revision = value;
    at = next;
  }
  return {revision, body: bytes.subarray(end)};
}

export function refusalOf(error: Error): Answer {
  return {error: error instanceof GrpcError ? `${error.status}: ${error.message}` : error.message};
}

/** Ids are beyond a double's exactness; nobody looks at them. */
function varintAt(bytes: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

export interface Told {
  readonly method: string;
  readonly answer: Answer;
}

/** @returns both as text when they differ by more than is each server's own */
export function differenceOf(first: Told, second: Told): [first: string, second: string] | undefined {
  const [a, b] = [first.answer, second.answer];
  if ('error' in a || 'error' in b) {
    const [textA, textB] = [describeAnswer(first), describeAnswer(second)];
    return 'error' in a && 'error' in b && textA === textB ? undefined : [textA, textB];
  }
  if (a.revision === b.revision && a.body.equals(b.body)) return undefined;
  const [textA, textB] = [describeAnswer(first), describeAnswer(second)];
  // Newer versions have fields that the older ones lack.
  const common = STREAMS.has(first.method) ? undefined : commonFields(textA, textB);
  return common !== undefined && common[0] === common[1] ? undefined : [textA, textB];
}

export function describeAnswer({method, answer}: Told): string {
  if ('error' in answer) return answer.error;
  if (STREAMS.has(method)) return answer.body.toString();
  const message = decodeAnswer(`etcdserverpb.${method}`, answer.body);
  return JSON.stringify({revision: answer.revision, ...withoutOwn(method, message)}, shownBytes);
}

/** Without what is each server's own: the order of a lease's keys is that of a hash table, time left is time. */
function withoutOwn(method: string, {header: _, ...message}: Message): Message {
  if (method === 'Lease/LeaseTimeToLive')
    return {
      ...message,
      TTL: Number(message.TTL) > 0 ? 'alive' : message.TTL,
      keys: message.keys.map((key: Buffer) => key.toString('latin1')).sort(),
    };
  if (method === 'Lease/LeaseLeases') return {leases: message.leases.map(({ID}: {ID: string}) => ID).sort()};
  return message;
}

/** JSON.stringify has called a Buffer's own toJSON before it asks here. */
export function shownBytes(_: string, value: unknown): unknown {
  const {type, data} = (value ?? {}) as {type?: unknown; data?: readonly number[]};
  return type === 'Buffer' && data !== undefined ? Buffer.from(data).toString('latin1') : value;
}
