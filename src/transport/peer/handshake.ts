/**
 * How two members agree to talk, in the headers of the WebSocket upgrade: one round trip, and a refusal is an
 * ordinary HTTP answer that says why.
 *
 *     GET /kvd/peer            the dialler says   kvd-protocol: 1-1   (the range of versions it speaks)
 *                                                 kvd-cluster, kvd-from, kvd-to   (ids, hexadecimal)
 *                                                 kvd-peer-urls   (links only: where to reach it, comma-separated)
 *     101                      the listener says  kvd-protocol: 1     (the version chosen)
 *                                                 kvd-cluster, kvd-from
 *     412                      or                 kvd-refusal: <code> <detail>
 *
 * Cluster 0 means "not known yet" and is let through only on the path for discovery calls; `kvd-to: 0` means
 * "whoever listens there". Pure.
 */

import {hex64} from '../../engine/lib/hex64.ts';
import {PEER_TOLD_URLS_BYTES_MAX, PEER_TOLD_URLS_MAX} from '../../engine/limits.ts';
import type {ClusterId, MemberId} from '../../engine/types.ts';
import {parsePeerUrl} from './peer-url.ts';

/** What a connection is for; each has its own path. */
export const PEER_PATHS = {link: '/kvd/peer', snapshot: '/kvd/snapshot', call: '/kvd/call'} as const;
export type PeerPurpose = keyof typeof PEER_PATHS;

/** The versions of the peer protocol that this program speaks. */
export const PEER_PROTOCOL_RANGE: ProtocolRange = {min: 1, max: 1};

export interface ProtocolRange {
  readonly min: number;
  readonly max: number;
}

/** Who this member is, as far as it knows: 0n where it does not. */
export interface PeerIdentity {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
}

export interface Hello extends PeerIdentity {
  readonly protocol: ProtocolRange;
  /** Whom the dialler expects; 0n: whoever it is. */
  readonly to: MemberId;
  /** Where the dialler itself is reached: the listener's own list of members may be too old to know. */
  readonly peerUrls: readonly string[];
}

export interface Welcome extends PeerIdentity {
  readonly protocol: number;
}

export type RefusalCode = 'malformed' | 'protocol' | 'cluster' | 'member' | 'removed' | 'busy';

export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
}

export type HandshakeHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const HEADER = {
  protocol: 'kvd-protocol',
  cluster: 'kvd-cluster',
  from: 'kvd-from',
  to: 'kvd-to',
  peerUrls: 'kvd-peer-urls',
} as const;
export const REFUSAL_HEADER = 'kvd-refusal';

export function helloHeaders(hello: Hello): Record<string, string> {
  const urls = writeUrls(hello.peerUrls);
  return {
    [HEADER.protocol]: `${hello.protocol.min}-${hello.protocol.max}`,
    [HEADER.cluster]: hex64(hello.clusterId),
    [HEADER.from]: hex64(hello.memberId),
    [HEADER.to]: hex64(hello.to),
    ...(urls !== '' && {[HEADER.peerUrls]: urls}),
  };
}

export function readHello(headers: HandshakeHeaders): Hello | undefined {
  const range = /^([1-9][0-9]{0,5})-([1-9][0-9]{0,5})$/.exec(text(headers[HEADER.protocol]));
  const clusterId = readId(headers[HEADER.cluster]);
  const memberId = readId(headers[HEADER.from]);
  const to = readId(headers[HEADER.to]);
  if (range === null || clusterId === undefined || memberId === undefined || to === undefined)
    return undefined;
  const peerUrls = readUrls(headers[HEADER.peerUrls]);
  return {protocol: {min: Number(range[1]), max: Number(range[2])}, clusterId, memberId, to, peerUrls};
}

export function welcomeHeaders(welcome: Welcome): Record<string, string> {
  return {
    [HEADER.protocol]: String(welcome.protocol),
    [HEADER.cluster]: hex64(welcome.clusterId),
    [HEADER.from]: hex64(welcome.memberId),
  };
}

export function readWelcome(headers: HandshakeHeaders): Welcome | undefined {
  const protocol = Number(/^[1-9][0-9]{0,5}$/.exec(text(headers[HEADER.protocol]))?.[0]);
  const clusterId = readId(headers[HEADER.cluster]);
  const memberId = readId(headers[HEADER.from]);
  if (Number.isNaN(protocol) || clusterId === undefined || memberId === undefined) return undefined;
  return {protocol, clusterId, memberId};
}

/** The listener's decision: the version to speak, or why not. */
export function judgeHello(options: {
  hello: Hello;
  self: PeerIdentity;
  purpose: PeerPurpose;
  range: ProtocolRange;
  isRemoved: (id: MemberId) => boolean;
}): {readonly version: number} | Refusal {
  const {hello, self, purpose, range} = options;
  const version = Math.min(hello.protocol.max, range.max);
  if (version < Math.max(hello.protocol.min, range.min)) {
    return {
      code: 'protocol',
      detail: `versions ${hello.protocol.min}-${hello.protocol.max} asked, ${range.min}-${range.max} spoken here`,
    };
  }
  const mismatch = judgeIds(hello, self, purpose);
  if (mismatch !== undefined) return mismatch;
  // Only now: `removed` ends the dialler, and another cluster's list of removed members says nothing about it.
  if (hello.memberId !== 0n && options.isRemoved(hello.memberId)) {
    return {code: 'removed', detail: `member ${hex64(hello.memberId)} was removed from this cluster`};
  }
  return {version};
}

function judgeIds(hello: Hello, self: PeerIdentity, purpose: PeerPurpose): Refusal | undefined {
  const isDiscovery = purpose === 'call';
  const isUnknown = hello.clusterId === 0n || self.clusterId === 0n;
  if (hello.clusterId !== self.clusterId ? !(isDiscovery && isUnknown) : isUnknown && !isDiscovery) {
    return {
      code: 'cluster',
      detail: `cluster ${hex64(hello.clusterId)} asked, ${hex64(self.clusterId)} is here`,
    };
  }
  if (hello.to !== 0n ? hello.to !== self.memberId : !isDiscovery) {
    return {code: 'member', detail: `member ${hex64(hello.to)} asked, ${hex64(self.memberId)} is here`};
  }
  if (!isDiscovery && (hello.memberId === 0n || hello.memberId === self.memberId)) {
    return {
      code: 'member',
      detail: `member ${hex64(hello.memberId)} cannot be a peer of ${hex64(self.memberId)}`,
    };
  }
  return undefined;
}

/** The dialler's check of what the listener says it is; undefined: all is well. */
export function judgeWelcome(options: {welcome: Welcome; hello: Hello}): Refusal | undefined {
  const {welcome, hello} = options;
  if (welcome.protocol < hello.protocol.min || welcome.protocol > hello.protocol.max) {
    return {code: 'protocol', detail: `version ${welcome.protocol} answered, which was not offered`};
  }
  if (hello.clusterId !== 0n && welcome.clusterId !== 0n && welcome.clusterId !== hello.clusterId) {
    return {
      code: 'cluster',
      detail: `cluster ${hex64(welcome.clusterId)} answered to ${hex64(hello.clusterId)}`,
    };
  }
  if (hello.to !== 0n && welcome.memberId !== hello.to) {
    return {code: 'member', detail: `member ${hex64(welcome.memberId)} answered to ${hex64(hello.to)}`};
  }
  return undefined;
}

export function writeRefusal(refusal: Refusal): string {
  return `${refusal.code} ${refusal.detail}`;
}

const REFUSAL_CODES: readonly string[] = ['malformed', 'protocol', 'cluster', 'member', 'removed', 'busy'];

export function readRefusal(headers: HandshakeHeaders): Refusal | undefined {
  const match = /^([a-z]+) ([\x20-\x7e]{0,500})$/.exec(text(headers[REFUSAL_HEADER]));
  if (match === null || !REFUSAL_CODES.includes(match[1])) return undefined;
  return {code: match[1] as RefusalCode, detail: match[2]};
}

/** As many as there is room for; socket files may have any character in their names. */
function writeUrls(urls: readonly string[]): string {
  let line = '';
  for (const url of urls.slice(0, PEER_TOLD_URLS_MAX)) {
    const longer = `${line}${line === '' ? '' : ','}${encodeURI(url).replaceAll(',', '%2C')}`;
    if (longer.length <= PEER_TOLD_URLS_BYTES_MAX) line = longer;
  }
  return line;
}

/** Only the usable ones: the link works without, so nothing about them is a reason to refuse it. */
function readUrls(header: string | readonly string[] | undefined): string[] {
  const line = text(header);
  if (line === '' || line.length > PEER_TOLD_URLS_BYTES_MAX) return [];
  const urls: string[] = [];
  for (const encoded of line.split(',').slice(0, PEER_TOLD_URLS_MAX)) {
    try {
      urls.push(parsePeerUrl(decodeURIComponent(encoded)).text);
    } catch {
      // Not a URL, or of a kind that only a later version knows.
    }
  }
  return urls;
}

function readId(header: string | readonly string[] | undefined): bigint | undefined {
  const digits = /^[0-9a-f]{1,16}$/.exec(text(header));
  return digits === null ? undefined : BigInt(`0x${digits[0]}`);
}

function text(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' ? header : '';
}
