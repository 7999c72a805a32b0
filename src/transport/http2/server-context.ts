/** What all connections and calls of one server share. */

import type {Server as HttpServer} from 'node:http';
import type {Logger} from '../../engine/ports.ts';
import type {EagerPoll} from '../eager-poll.ts';
import type {Deadlines} from './deadlines.ts';
import type {Call, GrpcMethod} from './grpc-method.ts';
import type {GrpcStatus} from './grpc-status.ts';
import type {Stream, StreamHost} from './stream.ts';

/** Counts for metrics; called on hot paths. */
export interface GrpcObserver {
  callStarted?(method: GrpcMethod): void;
  callEnded?(method: GrpcMethod, status: GrpcStatus): void;
  messageReceived?(method: GrpcMethod, bytes: number): void;
  messageSent?(method: GrpcMethod, bytes: number): void;
}

/** When PINGs are sent and how many are borne (etcd's --grpc-keepalive-*). */
export interface ServerKeepAlive {
  /** The least time between a client's PINGs, milliseconds. */
  readonly minTimeMs: number;
  /** A connection silent for this long is asked whether it is still there, milliseconds; 0: never. */
  readonly intervalMs: number;
  /** How long it has to answer, milliseconds. */
  readonly timeoutMs: number;
}

/** What all connections of the server hold together; see limits.ts. */
export interface ServerBudget {
  heldBytes: number;
  orphans: number;
}

export interface ServerContext {
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  /** Bytes of one request message. */
  readonly maxReceiveBytes: number;
  readonly logger: Logger;
  readonly observer: GrpcObserver | undefined;
  readonly beforeCall: ((path: string, call: Call) => void) | undefined;
  readonly keepAlive: ServerKeepAlive;
  /** Takes the requests that are no gRPC calls; undefined: they are refused. */
  readonly http: HttpServer | undefined;
  readonly deadlines: Deadlines;
  /** Waits for what clients say to an answer: mostly their next request. */
  readonly clientsPoll: EagerPoll;
  readonly budget: ServerBudget;
  readonly heldBytesPerConnectionMax: number;
  /** For preface and SETTINGS. */
  readonly handshakeTimeoutMs: number;
}

/** Memory that requests of running handlers lie in, mostly several in one chunk. Made and counted by the connection. */
export interface HeldMemory {
  readonly bytes: number;
  /** Handlers that may look at it still. */
  handlers: number;
}

/** What a call needs of its connection. */
export interface CallHost extends StreamHost {
  readonly remote: string;
  /** The header block that opens a good answer; valid until the next block is encoded. */
  okHeaders(isGzip: boolean): Buffer;
  /** The trailers of status OK. */
  okTrailers(): Buffer;
  /** The trailers of any other status; `isAlone`: nothing was sent before them. */
  errorTrailers(status: GrpcStatus, message: string, isAlone: boolean): Buffer;
  /** The request's last header block is here: the peer's half is done. */
  endRequest(stream: Stream): void;
  /** Resets the stream, because its request breaks HTTP. */
  malformed(streamId: number, detail: string): void;
  /** Whether the client makes us hold more than it may. */
  isOverBudget(): boolean;
  /** Resets the stream, because its answer is more than we can keep. */
  dropAnswer(streamId: number): void;
  /** Counts the memory that a message lies in, for as long as a handler runs, whatever becomes of its stream. */
  holdMemoryOf(message: Uint8Array): HeldMemory;
  releaseMemory(held: HeldMemory): void;
  /** A handler goes on running for a stream that is gone; and has settled. */
  orphanBegan(): void;
  orphanEnded(): void;
}
