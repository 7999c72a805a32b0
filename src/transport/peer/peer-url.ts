/**
 * The address of a peer listener, as members advertise it and as `--listen-peer-urls` names it:
 * `http://host:port`, `https://host:port`, `unix:///path`, `unixs:///path` (also `unix://host:port`, which etcd
 * takes as a socket file of that name). Pure.
 */

import {EngineError} from '../../engine/errors.ts';

export interface PeerUrl {
  /** As it was written. */
  readonly text: string;
  readonly isTls: boolean;
  /** Where to: a TCP end, or a socket file. IPv6 hosts stand without brackets. */
  readonly at: {readonly host: string; readonly port: number} | {readonly socketPath: string};
}

/** @throws EngineError `configInvalid` with what is wrong with the text */
export function parsePeerUrl(text: string): PeerUrl {
  const scheme = /^([a-z]+):\/\//.exec(text)?.[1];
  switch (scheme) {
    case 'http':
    case 'https':
      return {text, isTls: scheme === 'https', at: parseHostPort(text)};
    case 'unix':
    case 'unixs':
      return {text, isTls: scheme === 'unixs', at: {socketPath: parseSocketPath(text, scheme)}};
    default:
      throw invalid(text, 'its scheme must be http, https, unix or unixs');
  }
}

function parseHostPort(text: string): {host: string; port: number} {
  const match = /^https?:\/\/(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^/?#:@\s[\]]*)):([0-9]{1,5})(\/?)$/.exec(
    text,
  );
  if (match === null) throw invalid(text, 'it must be scheme://host:port with nothing behind');
  const host = match[1] ?? match[2];
  const port = Number(match[3]);
  if (port > 65_535) throw invalid(text, 'its port is larger than 65535');
  return {host, port};
}

function parseSocketPath(text: string, scheme: string): string {
  const path = text.slice(scheme.length + '://'.length);
  if (path === '' || path === '/' || path.includes('\0')) throw invalid(text, 'it names no socket file');
  return path;
}

function invalid(text: string, detail: string): EngineError {
  return new EngineError({code: 'configInvalid', detail: `peer URL ${JSON.stringify(text)}: ${detail}`});
}
