/** A connection to one member as the client needs it; the HTTP/2 one is made in open-channel.ts. */

export interface ChannelCallOptions {
  readonly metadata: Readonly<Record<string, string>>;
  /** Undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface ChannelStream {
  /** Resolves when the message may leave the queue: wait for it before the next when sending much. */
  send(message: Uint8Array): Promise<void>;
  /** Half-closes: no further request will come. */
  end(): void;
  cancel(): void;
  /** Ends with the call, or throws its GrpcError. */
  readonly responses: AsyncIterable<Uint8Array>;
}

export interface Channel {
  readonly endpoint: string;
  /** False once the connection is gone or going: a new call needs another channel. */
  readonly isOpen: boolean;
  unary(path: string, request: Uint8Array, options: ChannelCallOptions): Promise<Uint8Array>;
  stream(path: string, options: ChannelCallOptions): ChannelStream;
  close(): void;
}

/** Connects, or throws before anything of a request was sent. */
export type OpenChannel = (endpoint: string, options: {timeoutMs: number}) => Promise<Channel>;
