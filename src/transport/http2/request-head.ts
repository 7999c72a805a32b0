/**
 * The header block of a request, checked and read once. Equal blocks of a connection share one head, so it never
 * changes and belongs to no call. Source: RFC 9113, section 8.3; "gRPC over HTTP/2", Request-Headers.
 */

import type {GrpcMethod} from './grpc-method.ts';
import {decodeBinary, parseTimeout} from './grpc-text.ts';
import type {HeaderField} from './hpack/header-field.ts';

/** Fields that belong to an HTTP/1.1 connection: they make an HTTP/2 message malformed (section 8.2.2). */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

export class RequestHead {
  readonly fields: readonly HeaderField[];
  method = '';
  path = '';
  scheme = '';
  contentType = '';
  /** `grpc-encoding`, empty when absent. */
  encoding = '';
  timeoutMs: number | undefined;
  malformedTimeout: string | undefined;
  contentLength: number | undefined;
  /** The server's method for `path`, found once per head. */
  route: GrpcMethod | undefined;

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
  }

  /** The first value of this lower-case name; binary values (`-bin`) decoded, one char per byte. */
  metadata(name: string): string | undefined {
    const field = this.fields.find((candidate) => candidate.name === name);
    if (field === undefined) return undefined;
    if (!name.endsWith('-bin')) return field.value;
    // Base64 has no comma: several values may stand in one field.
    return decodeBinary(field.value.split(',', 1)[0]);
  }
}

/** @returns the head, or what is malformed about it */
export function readRequestHead(fields: readonly HeaderField[]): RequestHead | string {
  const head = new RequestHead(fields);
  let isPastPseudo = false;
  let hasAuthority = false;
  for (const field of fields) {
    const {name} = field;
    if (field.isMalformed) return 'a field name or value with forbidden characters';
    if (name.charCodeAt(0) !== 0x3a) {
      isPastPseudo = true;
      const flaw = readField(head, field);
      if (flaw !== undefined) return flaw;
      continue;
    }
    if (isPastPseudo) return 'a pseudo field behind a regular one';
    if (name === ':authority') {
      if (hasAuthority) return 'two :authority';
      hasAuthority = true;
    } else {
      const key =
        name === ':method' ? 'method' : name === ':path' ? 'path' : name === ':scheme' ? 'scheme' : undefined;
      if (key === undefined) return 'an unknown pseudo field';
      if (head[key] !== '') return `two ${name}`;
      if (field.value === '') return `an empty ${name}`;
      head[key] = field.value;
    }
  }
  if (head.method === 'CONNECT') {
    const isRight = hasAuthority && head.path === '' && head.scheme === '';
    return isRight ? head : 'CONNECT with another target than an authority';
  }
  if (head.method === '' || head.path === '' || head.scheme === '')
    return 'a required pseudo field is missing';
  return head;
}

/** @returns what is malformed about the block that ends a request */
export function trailersFlaw(fields: readonly HeaderField[]): string | undefined {
  for (const {name, isMalformed} of fields) {
    if (isMalformed) return 'trailers with forbidden characters';
    if (name.startsWith(':')) return 'trailers with a pseudo field';
    if (CONNECTION_FIELDS.has(name)) return `the connection field ${name}`;
  }
  return undefined;
}

function readField(head: RequestHead, field: HeaderField): string | undefined {
  const {name, value} = field;
  switch (name) {
    case 'content-type':
      head.contentType = value;
      return undefined;
    case 'grpc-timeout':
      head.timeoutMs = parseTimeout(value);
      if (head.timeoutMs === undefined) head.malformedTimeout = value;
      return undefined;
    case 'grpc-encoding':
      head.encoding = value;
      return undefined;
    case 'te':
      return value === 'trailers' ? undefined : 'te is not trailers';
    case 'content-length':
      if (!/^\d{1,15}$/.test(value)) return 'content-length is no number';
      if (head.contentLength !== undefined && head.contentLength !== Number(value))
        return 'two content-length';
      head.contentLength = Number(value);
      return undefined;
    default:
      return CONNECTION_FIELDS.has(name) ? `the connection field ${name}` : undefined;
  }
}
