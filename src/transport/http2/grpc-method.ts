/**
 * A remote procedure as the transport sees it: a path, two codecs and a handler. Knows no service by name; the
 * same shape serves gRPC and, over its JSON codecs, the gateway.
 */

/** What a handler may know of its call. */
export interface Call {
  /** Request metadata by lower-case name; the first value where there are several. */
  metadata(name: string): string | undefined;
  /** Aborted when the client cancels, its deadline passes, or its connection ends. */
  readonly signal: AbortSignal;
  /** Milliseconds the client gives the call from its arrival; undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  /** For the log: `address:port` or the unix socket's path. */
  readonly remote: string;
}

/** A message that is made while it is sent: for answers larger than should lie in memory at once. */
export interface MessageParts {
  /** Bytes of the whole message. */
  readonly length: number;
  /** Bytes that lie in memory until the last part has left, whether asked for or not. */
  readonly heldBytes: number;
  /** Asked for the next part as the client reads; together exactly `length` bytes. Walked once. */
  readonly parts: Iterable<Uint8Array>;
}

interface Codec<Request, Response> {
  /** `/package.Service/Method`. */
  readonly path: string;
  decode(bytes: Uint8Array): Request;
  encode(response: Response): Uint8Array;
  /** Used in place of `encode` where it gives something. */
  encodeParts?(response: Response): MessageParts | undefined;
}

export interface UnaryMethod<Request, Response> extends Codec<Request, Response> {
  readonly kind: 'unary';
  handle(request: Request, call: Call): Promise<Response>;
}

export interface ServerStreamMethod<Request, Response> extends Codec<Request, Response> {
  readonly kind: 'serverStream';
  /** Pulled only as fast as the client reads. */
  handle(request: Request, call: Call): AsyncIterable<Response>;
}

export interface BidiMethod<Request, Response> extends Codec<Request, Response> {
  readonly kind: 'bidi';
  /** `requests` ends when the client half-closes; the call ends when the returned iterable does. */
  handle(requests: AsyncIterable<Request>, call: Call): AsyncIterable<Response>;
}

// biome-ignore lint/suspicious/noExplicitAny: a registry holds methods of every message type
export type GrpcMethod = UnaryMethod<any, any> | ServerStreamMethod<any, any> | BidiMethod<any, any>;
