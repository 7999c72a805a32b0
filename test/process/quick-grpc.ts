/**
 * Calls by kvd's own HTTP/2 client, for harnesses that make very many: with `@grpc/grpc-js` (raw-grpc.ts) most of the
 * machine would go into the client. Messages are coded by protobufjs all the same.
 */

import {GrpcChannel} from '../../src/transport/http2/grpc-channel.ts';
import {type Message, methodOf} from './raw-grpc.ts';

const DIAL_TIMEOUT_MS = 2_000;

export class QuickGrpc implements Disposable {
  readonly #channel: GrpcChannel;

  constructor(endpoint: string) {
    this.#channel = new GrpcChannel({target: endpoint, dialTimeoutMs: DIAL_TIMEOUT_MS});
  }

  /**
   * @param name such as `etcdserverpb.KV/Put`
   * @param request with nothing but numbers for numbers and enums
   * @throws GrpcError
   */
  async unary(name: string, request: Message, options: {timeoutMs: number}): Promise<Message> {
    return methodOf(name).decode(await this.unaryBytes(name, request, options));
  }

  /** The answer as it came. @throws GrpcError */
  async unaryBytes(name: string, request: Message, options: {timeoutMs: number}): Promise<Buffer> {
    const {path, encodeExact} = methodOf(name);
    const bytes = await this.#channel.unary(path, encodeExact(request), options);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}
