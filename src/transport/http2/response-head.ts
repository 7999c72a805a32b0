/** Header blocks of a response, read into what a gRPC client must know. Source: "gRPC over HTTP/2", Responses. */

import {errorCodeName} from './errors.ts';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {decodeMessage, parseStatus} from './grpc-text.ts';
import type {HeaderField} from './hpack/header-field.ts';

export interface ResponseHead {
  /** `:status`; undefined in trailers. */
  readonly httpStatus: string | undefined;
  readonly contentType: string;
  readonly encoding: string;
  /** Undefined: there is no `grpc-status`. */
  readonly status: GrpcStatus | undefined;
  readonly message: string;
}

/** @returns undefined for a malformed block */
export function readResponseHead(fields: readonly HeaderField[]): ResponseHead | undefined {
  let httpStatus: string | undefined;
  let contentType = '';
  let encoding = '';
  let status: GrpcStatus | undefined;
  let message = '';
  for (const {name, value, isMalformed} of fields) {
    if (isMalformed) return undefined;
    if (name === ':status') httpStatus = value;
    else if (name === 'content-type') contentType = value;
    else if (name === 'grpc-encoding') encoding = value;
    else if (name === 'grpc-status') status = parseStatus(value);
    else if (name === 'grpc-message') message = decodeMessage(value);
    else if (name.charCodeAt(0) === 0x3a) return undefined;
  }
  return {httpStatus, contentType, encoding, status, message};
}

/** Source: gRPC's page "HTTP to gRPC status code mapping". A map, since a server may say anything, `toString` too. */
const FROM_HTTP: ReadonlyMap<string | undefined, GrpcStatus> = new Map([
  ['400', GrpcStatus.internal],
  ['401', GrpcStatus.unauthenticated],
  ['403', GrpcStatus.permissionDenied],
  ['404', GrpcStatus.unimplemented],
  ['429', GrpcStatus.unavailable],
  ['502', GrpcStatus.unavailable],
  ['503', GrpcStatus.unavailable],
  ['504', GrpcStatus.unavailable],
]);

/** The error of an answer that does not come from a gRPC server; undefined: it does. */
export function notGrpc(head: ResponseHead): GrpcError | undefined {
  if (head.httpStatus !== '200') {
    const status = FROM_HTTP.get(head.httpStatus) ?? GrpcStatus.unknown;
    return new GrpcError(status, `unexpected HTTP status code received from server: ${head.httpStatus}`);
  }
  if (/^application\/grpc(?:$|[+;])/.test(head.contentType)) return undefined;
  return new GrpcError(GrpcStatus.unknown, `received unexpected content-type "${head.contentType}"`);
}

const FROM_RESET: Readonly<Record<number, GrpcStatus>> = {
  7: GrpcStatus.unavailable,
  8: GrpcStatus.cancelled,
  11: GrpcStatus.resourceExhausted,
  12: GrpcStatus.permissionDenied,
};

/** The error of a stream that the server reset. Source: "gRPC over HTTP/2", HTTP2 error codes. */
export function resetError(code: number): GrpcError {
  const text = `stream terminated by RST_STREAM with error code: ${errorCodeName(code)}`;
  return new GrpcError(FROM_RESET[code] ?? GrpcStatus.internal, text);
}
