/** Why no connection came about, in words for the one who wrote down the address. */

import {GrpcError, GrpcStatus} from './grpc-status.ts';

/** Nothing was sent: the call may be made elsewhere. */
export class DialError extends GrpcError {
  /** Without the address. */
  readonly reason: string;

  constructor(address: string, cause: unknown) {
    const reason = dialReason(cause);
    const text = `connection error: desc = "transport: Error while dialing: dial ${address}: ${reason}"`;
    super(GrpcStatus.unavailable, text, cause);
    this.reason = reason;
  }
}

/** By the codes of the system, of name resolution, and of TLS. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EPIPE: 'connection reset by peer',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ENOENT: 'no such socket',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'TLS: self-signed certificate; name it in --cacert',
  SELF_SIGNED_CERT_IN_CHAIN: 'TLS: unknown authority; name its certificate in --cacert',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'TLS: unknown authority; name its certificate in --cacert',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'TLS: unknown authority; name its certificate in --cacert',
  CERT_HAS_EXPIRED: 'TLS: the certificate has expired',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the endpoint does not speak TLS; try http://',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the endpoint does not speak TLS; try http://',
};

/** @param error what a socket ended with before it was connected */
export function dialReason(error: unknown): string {
  // Several addresses were tried, and each has its own failure.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof Error)) return String(first);
  const {code = '', reason} = first as NodeJS.ErrnoException & {reason?: string};
  // Node gives a handshake that the server broke off the code of a broken connection.
  if (code === 'ECONNRESET' && first.message.includes('TLS')) {
    return 'connection closed during the TLS handshake; does the endpoint speak TLS?';
  }
  if (Object.hasOwn(REASONS, code)) return REASONS[code] as string;
  if (/^ERR_(SSL|TLS)_/.test(code)) return `TLS: ${reason ?? first.message}`;
  return first.message.split('\n')[0] as string;
}
