/**
 * `--peer-urls`, checked before anything is sent: a real etcd 3.4 that is handed a URL it cannot use ends itself when
 * it applies the change.
 */

import {badArguments, CommandError, ExitCode} from './exit.ts';

/** @throws CommandError in etcdctl's words: 128 when there are none, 1 for one that no member can listen on */
export function peerUrlsArgument(urls: readonly string[]): readonly string[] {
  if (urls.length === 0) throw badArguments('member peer urls not provided');
  for (const url of urls) {
    const fault = faultOf(url);
    if (fault !== undefined) throw new CommandError(ExitCode.error, `${fault}: ${url}`);
  }
  return urls;
}

function faultOf(url: string): string | undefined {
  const [, scheme, host, path] = /^([a-z]+):\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  if (scheme === 'unix' || scheme === 'unixs') return undefined;
  if (scheme !== 'http' && scheme !== 'https') return 'URL scheme must be http, https, unix, or unixs';
  if (!/^(\[[^\]]+\]|[^:[\]]*):[^:]*$/.test(host)) return 'URL address does not have the form "host:port"';
  return path === '' ? undefined : 'URL must not contain a path';
}
