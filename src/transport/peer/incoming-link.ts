/** A connection that another member dialled: its messages are handed on, its calls are answered. */

import type {WebSocket} from 'ws';
import {AssertionError, EngineError} from '../../engine/errors.ts';
import {hex64} from '../../engine/lib/hex64.ts';
import {PEER_CALLS_MAX, PEER_PINGS_MISSED_MAX, PEER_QUEUE_BYTES_MAX} from '../../engine/limits.ts';
import type {Logger, PeerHandlers} from '../../engine/ports.ts';
import type {Message} from '../../engine/raft/message.ts';
import type {MemberId} from '../../engine/types.ts';
import type {EagerPoll} from '../eager-poll.ts';
import {type Frame, failureOf, packAnswer, packFailure, unpackFrame} from './frame-codec.ts';
import {decodeMessage, MalformedFrameError} from './message-codec.ts';
import type {PeerMetrics} from './peer-metrics.ts';

export interface IncomingLinkOptions {
  readonly socket: WebSocket;
  readonly from: MemberId;
  /** Where the dialler says that it is reached. */
  readonly peerUrls: readonly string[];
  readonly self: MemberId;
  /** False on a connection for discovery calls: its dialler may be nobody yet, and sends no messages. */
  readonly takesMessages: boolean;
  readonly handlers: PeerHandlers<Message, unknown, unknown>;
  /** Waits for the answers to reads' questions. */
  readonly readsPoll: EagerPoll;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  closed(): void;
}

const BINARY = {binary: true, compress: false};

/** Quiet ticks before the link is taken for dead: the dialler pings on each of its own. */
const SILENT_TICKS_MAX = PEER_PINGS_MISSED_MAX + 2;

export class IncomingLink {
  readonly from: MemberId;
  readonly peerUrls: readonly string[];
  readonly #options: IncomingLinkOptions;
  readonly #socket: WebSocket;
  #silentTicks = 0;
  #callsRunning = 0;
  #isClosed = false;

  constructor(options: IncomingLinkOptions) {
    this.#options = options;
    this.from = options.from;
    this.peerUrls = options.peerUrls;
    this.#socket = options.socket;
    const {socket} = options;
    socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary));
    socket.on('ping', () => {
      this.#silentTicks = 0;
    });
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('close', () => {
      this.#isClosed = true;
      options.closed();
    });
  }

  tick(): void {
    this.#silentTicks++;
    if (this.#silentTicks > SILENT_TICKS_MAX && this.#callsRunning === 0) this.terminate();
  }

  /** Nothing that arrives later is handed on. */
  terminate(): void {
    this.#isClosed = true;
    this.#socket.terminate();
  }

  #received(data: Buffer, isBinary: boolean): void {
    if (this.#isClosed) return;
    this.#silentTicks = 0;
    this.#options.metrics.receivedBytes.add(data.length);
    let messages: Message[] | undefined;
    let frame: Frame;
    try {
      if (!isBinary) throw new MalformedFrameError('a text frame');
      frame = unpackFrame(data);
      if (frame.type === 'messages') messages = this.#decode(frame.messages);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#fail(error.message);
      return;
    }
    if (messages !== undefined && messages.length > 0) {
      if (messages.some(answersRead)) this.#options.readsPoll.arrived();
      this.#options.handlers.receive(this.from, messages);
    }
    if (frame.type === 'call') void this.#answer(frame.id, frame.call);
  }

  #decode(encoded: readonly unknown[]): Message[] {
    if (!this.#options.takesMessages) throw new MalformedFrameError('messages on a connection for calls');
    const ends = {from: this.from, to: this.#options.self};
    const messages: Message[] = [];
    for (const value of encoded) {
      const message = decodeMessage(value, ends);
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  async #answer(id: number, call: unknown): Promise<void> {
    if (this.#callsRunning >= PEER_CALLS_MAX) {
      this.#reply(packFailure(id, {code: 'tooManyRequests'}));
      return;
    }
    this.#callsRunning++;
    try {
      this.#reply(packAnswer(id, await this.#options.handlers.answer(this.from, call)));
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      if (!(error instanceof EngineError)) {
        this.#options.logger.error('call of peer failed', {peer: hex64(this.from), reason: String(error)});
      }
      this.#reply(packFailure(id, failureOf(error)));
    } finally {
      this.#callsRunning--;
    }
  }

  #reply(frame: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#socket.bufferedAmount > PEER_QUEUE_BYTES_MAX) {
      this.#fail('it does not read its answers');
      return;
    }
    this.#options.metrics.sentBytes.add(frame.length);
    this.#socket.send(frame, BINARY);
  }

  #fail(reason: string): void {
    if (this.#isClosed) return;
    this.#options.logger.warn('link from peer closed', {peer: hex64(this.from), reason});
    this.terminate();
  }
}

function answersRead(message: Message): boolean {
  return (
    (message.type === 'heartbeatResponse' && message.readContext !== 0) ||
    message.type === 'readIndexResponse'
  );
}
