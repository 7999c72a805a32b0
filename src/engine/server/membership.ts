/**
 * Changes of the member list, one at a time, decided on the leader: checks against the replicated list, the strict
 * checks that keep a quorum alive (`--strict-reconfig-check`), then a configuration change through the log. Other
 * members pass the request on.
 */

import {EngineError} from '../errors.ts';
import {LEARNER_READY_RATIO, MEMBERSHIP_RETRY_MS, PEER_HEALTHY_AFTER_MS} from '../limits.ts';
import type {Clock, Random} from '../ports.ts';
import type {ConfChange, ConfChangeStep} from '../raft/message.ts';
import {majority} from '../raft/quorum.ts';
import type {RaftStatus} from '../raft/status.ts';
import type {Members, MembershipChange} from '../state-machine/members.ts';
import type {Member, MemberId} from '../types.ts';
import {encodeMembershipRequest} from './membership-entry.ts';
import type {Proposals} from './proposals.ts';

export interface MembershipOptions {
  readonly memberId: MemberId;
  readonly members: () => Members;
  readonly proposals: Proposals;
  readonly clock: Clock;
  readonly random: Random;
  readonly strict: boolean;
  readonly learnersMax: number;
  readonly timeoutMs: number;
  readonly raftStatus: () => RaftStatus;
  /** Resolves with whether raft took it. */
  readonly proposeConfChange: (change: ConfChange) => Promise<boolean>;
  readonly connectedSinceMs: (id: MemberId) => number | undefined;
}

const STEP_TYPES: Record<MembershipChange['type'], (isLearner: boolean) => ConfChangeStep['type']> = {
  add: (isLearner) => (isLearner ? 'addLearner' : 'addVoter'),
  promote: () => 'addVoter',
  remove: () => 'remove',
  update: () => 'update',
};

export class Membership {
  readonly #options: MembershipOptions;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  async add(request: {peerURLs: readonly string[]; isLearner: boolean}): Promise<Member> {
    const {peerURLs, isLearner} = request;
    checkPeerUrls(peerURLs);
    const member = {id: this.#newId(), name: '', peerURLs, clientURLs: [], isLearner};
    const change = {type: 'add', member, learnersMax: this.#options.learnersMax} as const;
    this.#check(change);
    if (this.#options.strict) this.#checkBeforeAdd(isLearner);
    await this.#change(change);
    return member;
  }

  async remove(id: MemberId): Promise<void> {
    const member = this.#find(id);
    if (this.#options.strict) this.#checkBeforeRemove(member);
    await this.#change({type: 'remove', member});
  }

  async update(request: {id: MemberId; peerURLs: readonly string[]}): Promise<void> {
    checkPeerUrls(request.peerURLs);
    const member = {...this.#find(request.id), peerURLs: request.peerURLs};
    await this.#change({type: 'update', member});
  }

  async promote(id: MemberId): Promise<void> {
    const member = this.#find(id);
    this.#check({type: 'promote', member});
    this.#checkLearnerReady(id);
    const voters = this.#voters();
    // The learner counts as started: it has caught up.
    if (this.#options.strict && voters.filter(isStarted).length + 1 < majority(voters.length + 1)) {
      throw new EngineError({code: 'notEnoughStartedMembers'});
    }
    await this.#change({type: 'promote', member: {...member, isLearner: false}});
  }

  #list(): readonly Member[] {
    return this.#options.members().list();
  }

  #voters(): readonly Member[] {
    return this.#list().filter((member) => !member.isLearner);
  }

  #find(id: MemberId): Member {
    const member = this.#list().find((candidate) => candidate.id === id);
    if (member === undefined) throw new EngineError({code: 'memberNotFound'});
    return member;
  }

  #check(change: MembershipChange): void {
    const refused = this.#options.members().check(change);
    if (refused !== undefined) throw refused;
  }

  /** A new voter raises the quorum: those already started must be able to make it alone. */
  #checkBeforeAdd(isLearner: boolean): void {
    const voters = this.#voters();
    const started = voters.filter(isStarted).length;
    const isRestoringPair = voters.length === 1 && started === 1;
    if (!isLearner && !isRestoringPair && started < majority(voters.length + 1)) {
      throw new EngineError({code: 'notEnoughStartedMembers'});
    }
    if (this.#connected(voters) < voters.length) throw new EngineError({code: 'unhealthy'});
  }

  #checkBeforeRemove(member: Member): void {
    if (member.isLearner) return;
    const voters = this.#voters();
    const rest = voters.filter((voter) => voter.id !== member.id);
    if (rest.filter(isStarted).length < majority(rest.length)) {
      throw new EngineError({code: 'notEnoughStartedMembers'});
    }
    // A member that is down is no part of the active quorum: taking it away costs nothing.
    const isSelf = member.id === this.#options.memberId;
    if (!isSelf && this.#options.connectedSinceMs(member.id) === undefined) return;
    if (this.#connected(voters) - 1 < majority(voters.length - 1)) throw new EngineError({code: 'unhealthy'});
  }

  #checkLearnerReady(id: MemberId): void {
    const {progress} = this.#options.raftStatus();
    const leader = progress.find((member) => member.id === this.#options.memberId);
    const learner = progress.find((member) => member.id === id);
    if (leader === undefined || learner === undefined) throw new EngineError({code: 'notLeader'});
    if (learner.match < leader.match * LEARNER_READY_RATIO) throw new EngineError({code: 'learnerNotReady'});
  }

  /** How many of these this member has had a standing link to for long enough, itself included. */
  #connected(members: readonly Member[]): number {
    const {memberId, connectedSinceMs, clock} = this.#options;
    const latestMs = clock.monotonicMs() - PEER_HEALTHY_AFTER_MS;
    return members.filter(({id}) => {
      const sinceMs = id === memberId ? 0 : connectedSinceMs(id);
      return sinceMs !== undefined && sinceMs <= latestMs;
    }).length;
  }

  async #change(change: MembershipChange): Promise<void> {
    const {proposals, memberId, clock, timeoutMs, proposeConfChange} = this.#options;
    this.#check(change);
    const requestId = proposals.newRequestId();
    const context = encodeMembershipRequest({proposer: memberId, requestId, change});
    const type = STEP_TYPES[change.type](change.member.isLearner);
    const confChange = {steps: [{type, memberId: change.member.id}], joint: 'auto', context} as const;
    const untilMs = clock.monotonicMs() + timeoutMs;
    const applied = proposals.await(requestId);
    // Its rejection is awaited below, but may come while raft is still being asked.
    applied.catch(() => {});
    while (!(await proposeConfChange(confChange))) {
      if (this.#options.raftStatus().role !== 'leader') {
        proposals.fail(requestId, new EngineError({code: 'notLeader'}));
        break;
      }
      if (clock.monotonicMs() >= untilMs) break;
      await new Promise<void>((resolve) => clock.after(MEMBERSHIP_RETRY_MS, resolve));
    }
    await applied;
  }

  #newId(): MemberId {
    for (;;) {
      const id = this.#options.random.uint64();
      if (id !== 0n && !this.#options.members().isKnown(id)) return id;
    }
  }
}

function isStarted(member: Member): boolean {
  return member.name !== '';
}

function checkPeerUrls(urls: readonly string[]): void {
  const isGood = (url: string) => /^(https?:\/\/[^/\s]+:\d{1,5}|unixs?:\/\/\S+)$/.test(url);
  if (urls.length === 0 || !urls.every(isGood)) throw new EngineError({code: 'memberUrlsBad', urls});
}
