/** Where a client dials: `host:port`, `http://…`, `https://…`, `unix:path`, `unix:///path`, `unixs:…`. */

export interface Target {
  readonly scheme: 'http' | 'https';
  readonly host: string | undefined;
  readonly port: number | undefined;
  /** Of a unix socket. */
  readonly path: string | undefined;
  /** What `:authority` says. */
  readonly authority: string;
}

const TARGET = /^(?:(https?|unixs?):(?:\/\/)?)?(.*)$/s;
const HOST_PORT = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?\/?$/;
const DEFAULT_PORT = 2379;

/** @throws Error for what is no target */
export function parseTarget(text: string): Target {
  const [, kind = 'http', rest] = TARGET.exec(text)!;
  if (kind === 'unix' || kind === 'unixs') {
    const scheme = kind === 'unix' ? 'http' : 'https';
    return {scheme, host: undefined, port: undefined, path: rest, authority: 'localhost'};
  }
  const match = HOST_PORT.exec(rest);
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (match === null || port > 65_535) throw new Error(`not an address: ${text}`);
  const host = (match[1] ?? match[2]) || 'localhost';
  const shown = host.includes(':') ? `[${host}]` : host;
  return {scheme: kind as 'http' | 'https', host, port, path: undefined, authority: `${shown}:${port}`};
}
