/** A connection to one endpoint as the client needs it; the HTTP/2 one is made in open-channel.ts. */

export interface ChannelCallOptions {
  readonly metadata: Readonly<Record<string, string>>;
  /** Undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface ChannelStream {
  /** Resolves when the next message may be sent without piling up. */
  send(message: Uint8Array): Promise<void>;
  /** Half-closes: no further request will come. */
  end(): void;
  cancel(): void;
  /** Ends with the call, or throws its GrpcError. */
  readonly responses: AsyncIterable<Uint8Array>;
}

export interface Channel {
  readonly endpoint: string;
  /** Sees to it that a connection stands; fails before anything of a call was sent. */
  connect(options: {timeoutMs: number | undefined; signal: AbortSignal | undefined}): Promise<void>;
  unary(path: string, request: Uint8Array, options: ChannelCallOptions): Promise<Uint8Array>;
  stream(path: string, options: ChannelCallOptions): ChannelStream;
  close(): void;
}

/** Makes a channel; connecting comes later. */
export type OpenChannel = (endpoint: string) => Promise<Channel>;
