/**
 * Ids by etcd's rules, so that members and clusters have the same ones under kvd as under etcd: the first eight
 * bytes, big-endian, of a SHA-1 over what makes a member or a cluster that one and no other.
 */

import {asBuffer} from '../lib/bytes.ts';
import type {Digest} from '../ports.ts';
import type {ClusterId, MemberId} from '../types.ts';

/** Makes a running SHA-1. */
export type Sha1 = () => Digest;

/**
 * The id of a member that founds a cluster or is restored into one.
 * @param options.token the cluster's: `--initial-cluster-token`
 * @param options.unixSeconds when the member is added to a running cluster: the same URLs may come again
 */
export function memberIdOf(options: {
  peerURLs: readonly string[];
  token: string;
  unixSeconds?: number;
  sha1: Sha1;
}): MemberId {
  const {peerURLs, token, unixSeconds, sha1} = options;
  const sorted = peerURLs.map((url) => Buffer.from(url)).sort(Buffer.compare);
  const digest = sha1();
  for (const url of sorted) digest.update(url);
  digest.update(Buffer.from(token));
  if (unixSeconds !== undefined) digest.update(Buffer.from(String(unixSeconds)));
  return asBuffer(digest.finish()).readBigUInt64BE(0);
}

/** The id of a cluster with these founders, in any order. */
export function clusterIdOf(memberIds: readonly MemberId[], sha1: Sha1): ClusterId {
  const sorted = [...memberIds].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const bytes = Buffer.alloc(8 * sorted.length);
  sorted.forEach((id, place) => {
    bytes.writeBigUInt64BE(id, 8 * place);
  });
  const digest = sha1();
  digest.update(bytes);
  return asBuffer(digest.finish()).readBigUInt64BE(0);
}
