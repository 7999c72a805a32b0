/** Requests that are answered without ever becoming a call, in the words of gRPC's servers. */

import type {GrpcMethod} from './grpc-method.ts';
import {GrpcStatus} from './grpc-status.ts';
import {QUOTED_CHARACTERS_MAX} from './limits.ts';
import type {RequestHead} from './request-head.ts';

const GRPC_CONTENT_TYPE = /^application\/grpc(?:$|[+;])/i;
const ENCODINGS = ['identity', 'gzip'];

export function isGrpc(head: RequestHead): boolean {
  return GRPC_CONTENT_TYPE.test(head.contentType);
}

export interface Refusal {
  readonly http: string;
  readonly status: GrpcStatus;
  readonly message: string;
  /** What the client may compress with, when it has used something else. */
  readonly acceptEncoding?: string;
}

/** What makes a request no gRPC call that we can serve. */
export function refuse(head: RequestHead): Refusal | undefined {
  if (head.method !== 'POST') {
    const message = `grpc: the method is ${quoted(head.method)}, which should be POST`;
    return {http: '405', status: GrpcStatus.internal, message};
  }
  if (!isGrpc(head)) {
    const message = `invalid gRPC request content-type "${quoted(head.contentType)}"`;
    return {http: '415', status: GrpcStatus.internal, message};
  }
  if (head.encoding !== '' && !ENCODINGS.includes(head.encoding)) {
    const message = `grpc: Decompressor is not installed for grpc-encoding "${quoted(head.encoding)}"`;
    return {http: '200', status: GrpcStatus.unimplemented, message, acceptEncoding: ENCODINGS.join(',')};
  }
  if (head.malformedTimeout === undefined) return undefined;
  return {
    http: '200',
    status: GrpcStatus.internal,
    message: `malformed grpc-timeout: ${quoted(head.malformedTimeout)}`,
  };
}

export function unknownMethod(path: string, methods: ReadonlyMap<string, GrpcMethod>): string {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, slash);
  if (!path.startsWith('/') || slash <= 0) return `malformed method name: "${quoted(path)}"`;
  for (const known of methods.keys()) {
    if (known.startsWith(`/${service}/`))
      return `unknown method ${quoted(path.slice(slash + 1))} for service ${service}`;
  }
  return `unknown service ${quoted(service)}`;
}

function quoted(text: string): string {
  return text.length <= QUOTED_CHARACTERS_MAX ? text : `${text.slice(0, QUOTED_CHARACTERS_MAX)}…`;
}
