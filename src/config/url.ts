/**
 * The URLs that members listen on and announce: `http://host:port`, `https://host:port`, `unix://path`. Own rules
 * instead of the URL standard's, because an empty host (all interfaces) is legal here and a path is not. Pure.
 */

export type Endpoint =
  | {readonly kind: 'tcp'; readonly tls: boolean; readonly host: string; readonly port: number}
  | {readonly kind: 'unix'; readonly tls: boolean; readonly path: string};

const SHAPE = /^(http|https|unix|unixs):\/\/(.*)$/s;
const HOST_PORT = /^(\[[0-9a-fA-F:.]+(?:%[\w.-]+)?\]|[^:/?#\s[\]@]*):(\d{1,5})$/;

/**
 * `host` comes without brackets; an empty one means every interface.
 * @returns the endpoint, or what is wrong with the text
 */
export function parseEndpointUrl(url: string): Endpoint | string {
  const [, scheme, rest] = SHAPE.exec(url) ?? [];
  if (scheme === undefined || rest === undefined) return 'it must begin with http://, https:// or unix://';
  if (scheme.startsWith('unix')) {
    return rest === '' || rest === '/' || rest.includes('\0')
      ? 'the path of the socket is missing'
      : {kind: 'unix', tls: scheme === 'unixs', path: rest};
  }
  if (/[/?#]/.test(rest)) return 'it must not contain a path';
  const [, host, port] = HOST_PORT.exec(rest) ?? [];
  if (host === undefined || port === undefined) return 'it must have the form host:port';
  if (Number(port) > 65535) return 'the port must be at most 65535';
  return {kind: 'tcp', tls: scheme === 'https', host: host.replace(/^\[|\]$/g, ''), port: Number(port)};
}

/** Whether a listener can bind to the host as it stands: an address, `localhost`, or nothing (every interface). */
export function isBindableHost(host: string): boolean {
  return host === '' || host === 'localhost' || isAddress(host);
}

/** Addresses that mean "every interface" and so lead nobody anywhere. */
export function isWildcardHost(host: string): boolean {
  return host === '' || host === '0.0.0.0' || /^[0:]+$/.test(host);
}

function isAddress(host: string): boolean {
  if (host.includes(':')) return true;
  const parts = host.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}
