/** The header blocks of a connection's answers. Sources: RFC 9113, section 8.3.2; "gRPC over HTTP/2", Responses. */

import type {GrpcStatus} from './grpc-status.ts';
import {encodeMessage} from './grpc-text.ts';
import type {HpackEncoder} from './hpack/encoder.ts';
import {RememberedBlock} from './hpack/remembered-block.ts';
import type {Refusal} from './refusal.ts';

/** Each block is valid until the next one is encoded, and goes out in the order in which they were made. */
export class AnswerBlocks {
  readonly #encoder: HpackEncoder;
  /** Those of good answers: constant bytes as long as the encoder's table stays as it is. */
  #okHeaders: RememberedBlock | undefined;
  #okTrailers: RememberedBlock | undefined;

  constructor(encoder: HpackEncoder) {
    this.#encoder = encoder;
  }

  /** Opens a good answer. */
  okHeaders(isGzip: boolean): Buffer {
    const encoder = this.#encoder;
    const known = this.#okHeaders;
    if (known?.isFor(encoder) && !isGzip) return known.block;
    encoder.begin();
    encoder.add(':status', '200', 'index');
    encoder.add('content-type', 'application/grpc', 'index');
    if (isGzip) encoder.add('grpc-encoding', 'gzip', 'index');
    const block = encoder.end();
    if (!isGzip) this.#okHeaders = RememberedBlock.of(encoder);
    return block;
  }

  /** The trailers of status OK. */
  okTrailers(): Buffer {
    const encoder = this.#encoder;
    const known = this.#okTrailers;
    if (known?.isFor(encoder) === true) return known.block;
    encoder.begin();
    encoder.add('grpc-status', '0', 'index');
    const block = encoder.end();
    this.#okTrailers = RememberedBlock.of(encoder);
    return block;
  }

  /** The trailers of any other status. */
  errorTrailers(status: GrpcStatus, message: string): Buffer {
    this.#encoder.begin();
    this.#addStatus(status, message);
    return this.#encoder.end();
  }

  /** Headers and trailers in one, of an answer that is nothing but a refusal. */
  refusal({http, status, message, acceptEncoding}: Refusal): Buffer {
    this.#encoder.begin();
    this.#encoder.add(':status', http, 'plain');
    this.#encoder.add('content-type', 'application/grpc', 'index');
    this.#addStatus(status, message);
    if (acceptEncoding !== undefined) this.#encoder.add('grpc-accept-encoding', acceptEncoding, 'plain');
    return this.#encoder.end();
  }

  /** Of a request that is no gRPC. */
  plain(status: number, fields: ReadonlyArray<readonly [string, string]>): Buffer {
    this.#encoder.begin();
    this.#encoder.add(':status', String(status), 'plain');
    for (const [name, value] of fields) this.#encoder.add(name, value, 'plain');
    return this.#encoder.end();
  }

  #addStatus(status: GrpcStatus, message: string): void {
    this.#encoder.add('grpc-status', String(status), 'plain');
    if (message !== '') this.#encoder.add('grpc-message', encodeMessage(message), 'plain');
  }
}
