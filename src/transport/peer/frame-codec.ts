/**
 * One WebSocket frame of a link ⇄ bytes, by `msgpackr`. A frame is an array that begins with its type:
 *
 *     [0, message, message, …]     everything for the peer of one turn, in order
 *     [1, id, call]                a question; `id` is the asker's and names the answer
 *     [2, id, answer]
 *     [3, id, failure]             the question was refused: the EngineFailure
 *
 * Types that a reader does not know are skipped. Calls and answers are plain data: objects, arrays, strings,
 * numbers, booleans, null, undefined, bigint (64 bits), Uint8Array. Shared structures of msgpackr are off: each
 * frame can be read by itself, and equal data gives equal bytes.
 */

import {Packr} from 'msgpackr';
import {EngineError, type EngineFailure} from '../../engine/errors.ts';
import {isObject, isTextList} from '../../engine/lib/plain-data.ts';
import {MalformedFrameError} from './message-codec.ts';

const FRAME = {messages: 0, call: 1, answer: 2, failure: 3} as const;

export type Frame =
  | {readonly type: 'messages' /** Still to be decoded one by one. */; readonly messages: readonly unknown[]}
  | {readonly type: 'call'; readonly id: number; readonly call: unknown}
  | {readonly type: 'answer'; readonly id: number; readonly answer: unknown}
  | {readonly type: 'failure'; readonly id: number; readonly failure: EngineFailure}
  | {readonly type: 'unknown'};

const packr = new Packr({useRecords: false, mapsAsObjects: true});

/** @param encoded the messages as message-codec.ts makes them; the array is taken over */
export function packMessages(encoded: unknown[]): Uint8Array {
  encoded.unshift(FRAME.messages);
  return packr.pack(encoded);
}

export function packCall(id: number, call: unknown): Uint8Array {
  return packr.pack([FRAME.call, id, call]);
}

export function packAnswer(id: number, answer: unknown): Uint8Array {
  return packr.pack([FRAME.answer, id, answer]);
}

export function packFailure(id: number, failure: EngineFailure): Uint8Array {
  return packr.pack([FRAME.failure, id, failure]);
}

/** One value by itself: a snapshot's announcement. */
export function packValue(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** @throws MalformedFrameError */
export function unpackValue(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw new MalformedFrameError('not a packed value', cause);
  }
}

/** @throws MalformedFrameError */
export function unpackFrame(bytes: Uint8Array): Frame {
  const fields = unpackValue(bytes);
  if (!Array.isArray(fields) || fields.length === 0) throw new MalformedFrameError('not a frame');
  switch (fields[0]) {
    case FRAME.messages:
      fields.shift();
      return {type: 'messages', messages: fields};
    case FRAME.call:
      return {type: 'call', id: callId(fields[1]), call: fields[2]};
    case FRAME.answer:
      return {type: 'answer', id: callId(fields[1]), answer: fields[2]};
    case FRAME.failure:
      return {type: 'failure', id: callId(fields[1]), failure: readFailure(fields[2])};
    default:
      if (typeof fields[0] !== 'number') throw new MalformedFrameError('a frame without a type');
      return {type: 'unknown'};
  }
}

function callId(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new MalformedFrameError('a call without an id');
  }
  return value;
}

/**
 * A code that this version does not know is kept: it is for the edge to say that it means nothing to it. Of its data,
 * what can be shown is.
 */
export function readFailure(value: unknown): EngineFailure {
  if (!isObject(value) || typeof value.code !== 'string') {
    throw new MalformedFrameError('a failure without a code');
  }
  const isShown = (part: unknown) => typeof part !== 'object' || isTextList(part);
  return Object.fromEntries(Object.entries(value).filter(([, part]) => isShown(part))) as EngineFailure;
}

/** What an error looks like to the member that asked. */
export function failureOf(error: unknown): EngineFailure {
  return error instanceof EngineError ? error.failure : {code: 'unhealthy'};
}
