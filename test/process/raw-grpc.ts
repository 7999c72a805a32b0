/**
 * Any RPC of the API by `@grpc/grpc-js` with messages coded by protobufjs: nothing of kvd's own transport or codec
 * is on this side. Requests and answers are plain objects with the .proto files' names; 64-bit numbers come as
 * strings, bytes as Buffers, absent fields with their defaults.
 */

import {readdirSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const PROTO_FOLDER = resolve(import.meta.dirname, '../../src/transport/proto');

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(PROTO_FOLDER, target);
root.loadSync(
  readdirSync(PROTO_FOLDER).filter((name) => name.endsWith('.proto')),
  {keepCase: true},
);
root.resolveAll();

// biome-ignore lint/suspicious/noExplicitAny: messages of every service
export type Message = Record<string, any>;

interface Method {
  readonly path: string;
  readonly encode: (message: Message) => Buffer;
  /** For messages with nothing but numbers for numbers and enums: quicker. */
  readonly encodeExact: (message: Message) => Buffer;
  readonly decode: (bytes: Buffer) => Message;
}

const methods = new Map<string, Method>();

/** How messages of a method are coded, by its name. */
export function methodOf(name: string): Method {
  const known = methods.get(name);
  if (known !== undefined) return known;
  const {path, requestSerialize, responseDeserialize} = servedMethodOf(name);
  const {request} = typesOf(name);
  const built = {
    path,
    encode: requestSerialize,
    encodeExact: (message: Message) => request.encode(message).finish() as Buffer,
    decode: responseDeserialize,
  };
  methods.set(name, built);
  return built;
}

/** The same for a server of grpc-js. */
export function servedMethodOf(name: string): MethodDefinition<Message, Message> {
  const {method, ...types} = typesOf(name);
  const request = coderOf(types.request);
  const response = coderOf(types.response);
  return {
    path: `/${name}`,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}

function typesOf(name: string) {
  const [service, rpc] = name.split('/');
  const method = root.lookupService(service).methods[rpc].resolve() as protobuf.Method;
  const request = method.resolvedRequestType as protobuf.Type;
  return {method, request, response: method.resolvedResponseType as protobuf.Type};
}

function coderOf(type: protobuf.Type) {
  return {
    encode: (message: Message) => Buffer.from(type.encode(type.fromObject(message)).finish()),
    decode: (bytes: Buffer): Message => type.toObject(type.decode(bytes), {longs: String, defaults: true}),
  };
}

/** A message of any type of the API, from its bytes to a plain object; bytes fields as base64. */
export function decodeMessage(type: string, bytes: Uint8Array): Message {
  const found = root.lookupType(type);
  return found.toObject(found.decode(bytes), {longs: String, enums: String, bytes: String});
}

/** An answer's message by the name of its method. */
export function decodeAnswer(name: string, bytes: Buffer): Message {
  return methodOf(name).decode(bytes);
}

export class RawGrpc implements Disposable {
  readonly #client: Client;
  readonly #metadata: Metadata;

  constructor(endpoint: string, metadata: Readonly<Record<string, string>> = {}) {
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Each harness client has a connection of its own.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
    });
    this.#metadata = Metadata.fromHttp2Headers(metadata);
  }

  /** @param name such as `etcdserverpb.KV/Put` */
  unary(name: string, request: Message = {}, options: {timeoutMs?: number} = {}): Promise<Message> {
    const {path, encode, decode} = methodOf(name);
    const deadline = Date.now() + (options.timeoutMs ?? 10_000);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest<Message, Message>(
        path,
        encode,
        decode,
        request,
        this.#metadata,
        {deadline},
        (error: ServiceError | null, response?: Message) => {
          if (error === null) resolve(response as Message);
          else reject(error);
        },
      );
    });
  }

  serverStream(name: string, request: Message = {}): ClientReadableStream<Message> {
    const {path, encode, decode} = methodOf(name);
    return this.#client.makeServerStreamRequest<Message, Message>(
      path,
      encode,
      decode,
      request,
      this.#metadata,
    );
  }

  bidi(name: string): ClientDuplexStream<Message, Message> {
    const {path, encode, decode} = methodOf(name);
    return this.#client.makeBidiStreamRequest<Message, Message>(path, encode, decode, this.#metadata);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
