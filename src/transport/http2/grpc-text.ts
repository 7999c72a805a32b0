/** gRPC's small text forms: timeouts, percent-encoded messages, binary metadata. Source: "gRPC over HTTP/2". */

import {GrpcStatus} from './grpc-status.ts';

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = {H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6};

/** `grpc-timeout` in milliseconds; undefined: malformed. */
export function parseTimeout(text: string): number | undefined {
  const match = TIMEOUT.exec(text);
  return match === null ? undefined : Number(match[1]) * UNIT_MS[match[2]];
}

/** The shortest form that is not below `ms` and has at most eight digits. */
export function formatTimeout(ms: number): string {
  if (ms <= 0) return '1n';
  if (ms < 99_999) return `${Math.ceil(ms * 1000)}u`;
  if (ms < 99_999_999) return `${Math.ceil(ms)}m`;
  return `${Math.min(99_999_999, Math.ceil(ms / 1000))}S`;
}

const NEEDS_ENCODING = /[^ -$&-~]/;
const PERCENT = 0x25;

/** `grpc-message`: UTF-8, and everything that is not printable ASCII as %XX. */
export function encodeMessage(text: string): string {
  if (!NEEDS_ENCODING.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== PERCENT;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** The inverse; what is no escape stays as it is. */
export function decodeMessage(encoded: string): string {
  if (!encoded.includes('%')) return Buffer.from(encoded, 'latin1').toString('utf8');
  const bytes = encoded.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The value of a `-bin` field, one char per byte; padding is optional. */
export function decodeBinary(value: string): string {
  return Buffer.from(value, 'base64').toString('latin1');
}

export function encodeBinary(value: string): string {
  return Buffer.from(value, 'latin1').toString('base64').replace(/=+$/, '');
}

const STATUSES = new Set<number>(Object.values(GrpcStatus));

/** `grpc-status`; what is no status is `unknown`. */
export function parseStatus(text: string): GrpcStatus {
  const status = /^\d{1,2}$/.test(text) ? Number(text) : GrpcStatus.unknown;
  return (STATUSES.has(status) ? status : GrpcStatus.unknown) as GrpcStatus;
}
