/**
 * What goes from process to process goes as bytes, by the codecs of the real links: no two members share memory, and
 * what a codec would lose or bend is lost or bent here, too.
 */

import type {EngineFailure} from '../../src/engine/errors.ts';
import type {Message} from '../../src/engine/raft/message.ts';
import type {MemberId} from '../../src/engine/types.ts';
import {
  packAnswer,
  packCall,
  packFailure,
  packMessages,
  packValue,
  unpackFrame,
  unpackValue,
} from '../../src/transport/peer/frame-codec.ts';
import {decodeMessage, encodeMessage} from '../../src/transport/peer/message-codec.ts';

interface Ends {
  readonly from: MemberId;
  readonly to: MemberId;
}

/** Messages of one turn, as the other end of a link reads them. */
export function messagesReceived(messages: readonly Message[], ends: Ends): readonly Message[] {
  const frame = unpackFrame(packMessages(messages.map((message) => encodeMessage(message, ends.from))));
  if (frame.type !== 'messages') throw new Error(`messages arrive as ${frame.type}`);
  return frame.messages
    .map((encoded) => decodeMessage(encoded, ends))
    .filter((message): message is Message => message !== undefined);
}

/** The announcement of a snapshot, which goes ahead of it. */
export function announcementReceived(message: Message, ends: Ends): Message {
  const received = decodeMessage(unpackValue(packValue(encodeMessage(message, ends.from))), ends);
  if (received === undefined) throw new Error(`an announcement of type ${message.type} is not understood`);
  return received;
}

export function callReceived(call: unknown): unknown {
  const frame = unpackFrame(packCall(0, call));
  if (frame.type !== 'call') throw new Error(`a call arrives as ${frame.type}`);
  return frame.call;
}

export function answerReceived(answer: unknown): unknown {
  const frame = unpackFrame(packAnswer(0, answer));
  if (frame.type !== 'answer') throw new Error(`an answer arrives as ${frame.type}`);
  return frame.answer;
}

export function failureReceived(failure: EngineFailure): EngineFailure {
  const frame = unpackFrame(packFailure(0, failure));
  if (frame.type !== 'failure') throw new Error(`a failure arrives as ${frame.type}`);
  return frame.failure;
}
