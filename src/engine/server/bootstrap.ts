/**
 * Decides who this member is. A data dir that was used before knows; a fresh one either founds a cluster with the
 * members of `--initial-cluster` (`new`) or asks the peers for its place in theirs (`existing`).
 */

import {EngineError} from '../errors.ts';
import {hex64} from '../lib/hex64.ts';
import {JOIN_RETRY_MS, JOIN_TIMEOUT_MS, PEER_CALL_TIMEOUT_MS} from '../limits.ts';
import type {Clock, Logger, PeerNetwork} from '../ports.ts';
import {encodeConfChange} from '../raft/conf-change.ts';
import {type Entry, EntryType, type HardState, type Message} from '../raft/message.ts';
import {clusterIdOf, memberIdOf, type Sha1} from '../storage/member-id.ts';
import type {ClusterId, Member, MemberId} from '../types.ts';
import {encodeMembershipRequest} from './membership-entry.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';
import type {ServerConfig} from './server-config.ts';

export interface Identity {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
}

/** What a fresh member's log begins with. */
export interface FirstLog {
  readonly identity: Identity;
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** Of the entries that a cluster begins with, one for each founder; the first election is for the next. */
export const FOUNDING_TERM = 1;

type Network = PeerNetwork<Message, PeerCall, PeerAnswer>;
export type ClusterAnswer = PeerAnswer & {type: 'cluster'};

/** The members that `--initial-cluster` names, with the ids that etcd would give them, sorted by id. */
export function initialMembers(config: ServerConfig, sha1: Sha1): Member[] {
  const members = [...config.initialCluster].map(([name, peerURLs]) => ({
    id: memberIdOf({peerURLs, token: config.initialClusterToken, sha1}),
    name,
    peerURLs,
    clientURLs: [],
    isLearner: false,
  }));
  return members.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Founds a cluster: every founder writes the same first entries, one per member, as already committed. */
export async function foundCluster(options: {
  config: ServerConfig;
  network: Network;
  sha1: Sha1;
  logger: Logger;
}): Promise<FirstLog> {
  const {config, network, sha1, logger} = options;
  const members = initialMembers(config, sha1);
  const self = members.find((member) => member.name === config.name);
  if (self === undefined) {
    const detail = `--initial-cluster does not name this member ${JSON.stringify(config.name)}`;
    throw new EngineError({code: 'configInvalid', detail});
  }
  const clusterId = clusterIdOf(
    members.map(({id}) => id),
    sha1,
  );
  const answers = await askAll(
    {network, logger},
    members.filter(({id}) => id !== self.id),
  );
  for (const answer of answers) refuseIfAwaited(self, answer);
  refuseIfKnownAsStarted(self, ofCluster(clusterId, answers, logger));
  const entries = members.map((member, place) => ({
    index: place + 1,
    term: FOUNDING_TERM,
    type: EntryType.confChange,
    payload: encodeConfChange({
      steps: [{type: 'addVoter', memberId: member.id}],
      joint: 'auto',
      context: encodeMembershipRequest({
        proposer: 0n,
        requestId: 0,
        // Names come later, from the members themselves, when they have started.
        change: {type: 'add', member: {...member, name: ''}},
      }),
    }),
  }));
  return {
    identity: {clusterId, memberId: self.id},
    entries,
    hardState: {term: FOUNDING_TERM, vote: 0n, commit: entries.length},
  };
}

/** What these members say, as far as they answer. */
async function askAll(
  ask: {readonly network: Network; readonly logger: Logger},
  members: readonly Member[],
): Promise<readonly ClusterAnswer[]> {
  const urls = members.flatMap(({peerURLs}) => peerURLs);
  const answers = await Promise.all(urls.map((url) => askCluster(ask, url)));
  return answers.filter((answer) => answer !== undefined);
}

function ofCluster(
  clusterId: ClusterId,
  answers: readonly ClusterAnswer[],
  logger: Logger,
): readonly ClusterAnswer[] {
  return answers.filter((answer) => {
    if (answer.clusterId === clusterId) return true;
    logger.warn('a peer of --initial-cluster belongs to another cluster', {
      clusterId: answer.clusterId,
      peerId: answer.memberId,
    });
    return false;
  });
}

/**
 * A member whose disk was wiped must not start anew under its old id: what it acknowledged is gone, and it could
 * vote twice. Its peers remember that it had started.
 */
export function refuseIfKnownAsStarted(
  self: Pick<Member, 'id' | 'name'>,
  answers: readonly ClusterAnswer[],
): void {
  for (const answer of answers) {
    const known = answer.members.find(({id}) => id === self.id);
    const isRemoved = answer.removed.includes(self.id);
    if (!isRemoved && (known === undefined || known.name === '')) continue;
    const detail =
      `member ${hex64(self.id)} (${known?.name || self.name}) has already been ${isRemoved ? 'removed' : 'bootstrapped'} ` +
      'in this cluster, but its data dir is empty: remove it with `kvd member remove`, add it again with ' +
      '`kvd member add`, and start it with --initial-cluster-state=existing and an empty --data-dir';
    throw new EngineError({code: 'clusterMismatch', detail});
  }
}

/** `member add` was made for this member: founding a cluster of its own would leave it alone for ever. */
function refuseIfAwaited(self: Member, {clusterId, members}: ClusterAnswer): void {
  const own = [...self.peerURLs].sort();
  const awaited = members.find(({id, name, peerURLs}) => {
    return id !== self.id && name === '' && samePeerUrls([...peerURLs].sort(), own);
  });
  if (awaited === undefined) return;
  const detail =
    `the cluster ${hex64(clusterId)} of --initial-cluster has this member in its list already, as ` +
    `${hex64(awaited.id)}, which has not started yet: start it with --initial-cluster-state=existing`;
  throw new EngineError({code: 'configInvalid', detail});
}

interface JoinOptions {
  readonly config: ServerConfig;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Finds this member, added by `member add` and not started yet, in the list that its peers have. */
export async function joinCluster(options: JoinOptions): Promise<FirstLog> {
  const {network, logger} = options;
  const own = [...options.config.initialAdvertisePeerURLs].sort();
  const isOwn = ({peerURLs}: Member): boolean => samePeerUrls([...peerURLs].sort(), own);
  const first = await askPeers({...options, timeoutMs: JOIN_TIMEOUT_MS});
  const {clusterId} = first;
  const others = await askAll(
    {network, logger},
    first.members.filter((member) => !isOwn(member)),
  );
  const answers = [first, ...ofCluster(clusterId, others, logger)];
  // Whoever lags may not list this member yet, or still the one that had these URLs before.
  const listed = answers.flatMap(({members}) => members).filter(isOwn);
  const removed = new Set(answers.flatMap((answer) => answer.removed));
  const self = listed.find(({id}) => !removed.has(id)) ?? listed.at(0);
  if (self === undefined) {
    const detail =
      `the cluster ${hex64(clusterId)} has no member with the peer URLs ${own.join(',')}: ` +
      'add it first with `kvd member add`';
    throw new EngineError({code: 'clusterMismatch', detail});
  }
  refuseIfKnownAsStarted(self, answers);
  return {
    identity: {clusterId, memberId: self.id},
    entries: [],
    hardState: {term: 0, vote: 0n, commit: 0},
  };
}

/**
 * The member list as the first peer that answers has it. Peers that do not answer, or whose names do not resolve
 * yet, are asked again for a while (`timeoutMs` 0: once each).
 */
export async function askPeers({
  config,
  network,
  clock,
  logger,
  timeoutMs,
}: JoinOptions & {readonly timeoutMs: number}): Promise<ClusterAnswer> {
  const urls = [...config.initialCluster]
    .filter(([name]) => name !== config.name)
    .flatMap(([, list]) => list);
  const untilMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    for (const url of urls) {
      const answer = await askCluster({network, logger}, url);
      // A peer that is joining itself knows nobody yet.
      if (answer !== undefined && answer.members.length > 0) return answer;
    }
    if (clock.monotonicMs() >= untilMs) break;
    logger.warn('no peer answers yet', {urls});
    await new Promise<void>((resolve) => clock.after(JOIN_RETRY_MS, resolve));
  }
  const detail = `none of the peers ${urls.join(',')} answers: cannot join (is --initial-cluster right?)`;
  throw new EngineError({code: 'clusterMismatch', detail});
}

/**
 * A data dir that was used before decides; the flags may lag behind membership changes. But peer URLs of which the
 * cluster on disk knows not one are those of another cluster: better to stop than to serve the wrong data.
 */
export function checkAgainstDisk(config: ServerConfig, members: readonly Member[]): void {
  const onDisk = new Set(members.flatMap(({peerURLs}) => peerURLs));
  const named = [...config.initialCluster.values()].flat();
  if (onDisk.size === 0 || named.length === 0 || named.some((url) => onDisk.has(url))) return;
  const detail =
    `--initial-cluster names ${named.join(',')}, but the data dir belongs to a cluster of ` +
    `${[...onDisk].join(',')}: correct the flag or choose another --data-dir`;
  throw new EngineError({code: 'clusterMismatch', detail});
}

/** What the member at this URL says of its cluster; undefined when it does not answer. */
export async function askCluster(
  {network, logger}: {readonly network: Network; readonly logger: Logger},
  url: string,
): Promise<ClusterAnswer | undefined> {
  try {
    const answer = await network.callUrl(url, {type: 'cluster'}, PEER_CALL_TIMEOUT_MS);
    return answer.type === 'cluster' ? answer : undefined;
  } catch (error) {
    // Down, or not started yet: others may answer.
    logger.debug('a peer does not answer', {url, error: String(error)});
    return undefined;
  }
}

function samePeerUrls(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((url, place) => url === b[place]);
}
