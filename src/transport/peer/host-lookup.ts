/**
 * Host names of peers, looked up a few at a time. `getaddrinfo` waits in Node's thread pool, where the log's
 * fdatasync also runs: names that do not resolve yet, each held for seconds by a slow resolver, would otherwise
 * stop this member's disk.
 */

import {type LookupAddress, lookup} from 'node:dns';
import type {LookupFunction} from 'node:net';
import {PEER_LOOKUPS_MAX} from '../../engine/limits.ts';

type Found = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

/** Names in question, each with those who wait for it: a name is never looked up twice at the same time. */
const waiting = new Map<string, Found[]>();
const queue: string[] = [];
let running = 0;

/** For `net.connect`: as `dns.lookup`, but bounded. */
export const lookupHost: LookupFunction = (hostname, options, callback) => {
  find(hostname, (error, addresses) => {
    const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0);
    const fitting = addresses.filter((address) => family === 0 || address.family === family);
    if (error !== null) callback(error, '', 0);
    else if (options.all) callback(null, fitting);
    else if (fitting.length > 0) callback(null, fitting[0].address, fitting[0].family);
    else callback(Object.assign(new Error(`no address for ${hostname}`), {code: 'ENOTFOUND'}), '', 0);
  });
};

function find(hostname: string, found: Found): void {
  const others = waiting.get(hostname);
  if (others !== undefined) {
    others.push(found);
    return;
  }
  waiting.set(hostname, [found]);
  queue.push(hostname);
  runNext();
}

function runNext(): void {
  if (running >= PEER_LOOKUPS_MAX) return;
  const hostname = queue.shift();
  if (hostname === undefined) return;
  running++;
  lookup(hostname, {all: true}, (error, addresses) => {
    running--;
    const callers = waiting.get(hostname) ?? [];
    waiting.delete(hostname);
    runNext();
    for (const found of callers) found(error, addresses ?? []);
  });
}
