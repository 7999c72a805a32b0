/** What is asked of this member beside keys and values, by clients and by other members: leases, quota, membership. */

import {REQUEST_TIMEOUT_BASE_MS} from '../limits.ts';
import type {Entry} from '../raft/message.ts';
import type {Raft} from '../raft/raft.ts';
import type {Command} from '../state-machine/command.ts';
import {Leadership} from './leadership.ts';
import type {LeaseExpirer} from './lease-expirer.ts';
import {Leases} from './leases.ts';
import {Membership} from './membership.ts';
import {MembershipRouter} from './membership-router.ts';
import type {OpenedMember} from './open-member.ts';
import {PeerService} from './peer-service.ts';
import {QuotaGuard} from './quota-guard.ts';
import type {RaftLoop} from './raft-loop.ts';
import type {RequestPipeline} from './request-pipeline.ts';
import {requestTimeoutMs, type ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import type {StateHashes} from './state-hashes.ts';

export interface MemberServicesOptions {
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly opened: OpenedMember;
  readonly pipeline: RequestPipeline;
  readonly loop: () => RaftLoop;
  readonly expirer: LeaseExpirer;
  readonly hashes: StateHashes;
  readonly propose: (command: Command) => Promise<unknown>;
}

export class MemberServices {
  readonly leases: Leases;
  readonly quota: QuotaGuard;
  readonly membership: MembershipRouter;
  readonly leadership: Leadership;
  readonly peerService: PeerService;

  constructor(options: MemberServicesOptions) {
    const {config, ports, opened, pipeline, loop, expirer, hashes} = options;
    const {clock, logger, random, network} = ports;
    const {identity, stateMachine} = opened;
    const {memberId} = identity;
    this.leases = new Leases({
      lessor: () => stateMachine.lessor,
      expirer,
      proposals: pipeline.proposals,
      reads: pipeline.reads,
      clock,
      timeoutMs: requestTimeoutMs(config, REQUEST_TIMEOUT_BASE_MS),
      random,
      network,
      memberId,
      leader: () => loop().leader,
      ttlMinSeconds: Math.ceil((1.5 * config.electionTimeoutMs) / 1000),
    });
    this.quota = makeQuotaGuard(options);
    this.membership = makeMembershipRouter(options);
    this.leadership = new Leadership({
      memberId,
      loop,
      config,
      clock,
      logger,
      connectedSinceMs: (id) => network.connectedSinceMs(id),
    });
    this.peerService = new PeerService({
      identity,
      members: () => stateMachine.members,
      unapplied: () => unappliedEntries(opened.raft),
      leases: this.leases,
      hashes,
      term: () => loop().term,
      changeMembersHere: (operation) => this.membership.changeHere(operation),
    });
  }
}

function makeQuotaGuard({config, opened, propose}: MemberServicesOptions): QuotaGuard {
  const {identity, store, stateMachine} = opened;
  return new QuotaGuard({
    memberId: identity.memberId,
    quotaBytes: config.quotaBackendBytes,
    inUseBytes: () => store.size().inUseBytes,
    overlayBytes: () => store.overlayBytes(),
    overlayPutBytes: () => store.overlayPutBytes(),
    alarmed: (type) => stateMachine.alarms.isActive(type),
    raise: (alarm) =>
      propose({type: 'alarm', action: 'activate', memberId: alarm.memberId, alarm: alarm.alarm}),
  });
}

function makeMembershipRouter({
  config,
  ports,
  opened,
  pipeline,
  loop,
}: MemberServicesOptions): MembershipRouter {
  const {clock, random, network} = ports;
  const members = () => opened.stateMachine.members;
  const timeoutMs = requestTimeoutMs(config, REQUEST_TIMEOUT_BASE_MS);
  const membership = new Membership({
    memberId: opened.identity.memberId,
    members,
    proposals: pipeline.proposals,
    clock,
    random,
    strict: config.strictReconfigCheck,
    learnersMax: config.maxLearners,
    timeoutMs,
    raftStatus: () => loop().status(),
    proposeConfChange: (change) => loop().proposeConfChange(change),
    connectedSinceMs: (id) => network.connectedSinceMs(id),
  });
  return new MembershipRouter({membership, members, loop, reads: pipeline.reads, network, clock, timeoutMs});
}

function unappliedEntries(raft: Raft): readonly Entry[] {
  const {applied, firstIndex, lastIndex} = raft.status();
  const from = Math.max(applied + 1, firstIndex);
  return from > lastIndex ? [] : raft.entries(from, lastIndex);
}
