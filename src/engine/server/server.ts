/**
 * A member as its clients see it: what the API listener, and anybody who embeds kvd, calls. Each call goes the one
 * way: through the log for writes, through a confirmed read index for linearizable reads, straight to the local
 * state for serializable ones. Every rejection is an EngineError.
 */

import {assert, EngineError} from '../errors.ts';
import {COMMITTED_UNAPPLIED_MAX, RANGE_KEPT_BYTES} from '../limits.ts';
import type {SnapshotStream} from '../ports.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Command} from '../state-machine/command.ts';
import {isReadOnlyTxn} from '../state-machine/mvcc/txn.ts';
import type {
  Alarm,
  ClusterId,
  DeleteRangeRequest,
  DeleteRangeResult,
  Header,
  LeaseId,
  Member,
  MemberId,
  PutRequest,
  PutResult,
  RangeRequest,
  RangeResult,
  TxnRequest,
  TxnResult,
} from '../types.ts';
import {API_VERSION, STORAGE_VERSION} from '../version.ts';
import type {WatchHub} from '../watch/watch-hub.ts';
import type {MemberOperation} from './peer-call.ts';
import type {Replica} from './replica.ts';
import {runSlices, runSlicesGently} from './run-slices.ts';

/** An answer with the header of the moment it became true. */
export interface Answered<Result> {
  readonly header: Header;
  readonly result: Result;
}

export interface MemberStatus {
  /** The API level, `3.7.1`. */
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly dbSizeQuota: number;
  /** 0n: no leader known. */
  readonly leader: MemberId;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly alarms: readonly Alarm[];
  readonly isLearner: boolean;
  readonly storageVersion: string;
}

export class Server {
  readonly #replica: Replica;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get clusterId(): ClusterId {
    return this.#replica.identity.clusterId;
  }

  get memberId(): MemberId {
    return this.#replica.identity.memberId;
  }

  get watchHub(): WatchHub {
    return this.#replica.watchHub;
  }

  header(): Header {
    return this.#headerAt(this.#replica.mvcc.currentRevision());
  }

  leader(): MemberId {
    return this.#replica.loop.leader;
  }

  isLearner(): boolean {
    return this.#replica.members.get(this.memberId)?.isLearner ?? false;
  }

  /** Milliseconds of one election timeout: how long a missing leader is nothing unusual. */
  get electionTimeoutMs(): number {
    return this.#replica.config.electionTimeoutMs;
  }

  // ---- Keys -------------------------------------------------------------------------------------------------

  /** Values beyond RANGE_KEPT_BYTES are read when they are asked for, which may throw what reading throws. */
  async range(request: RangeRequest): Promise<Answered<RangeResult>> {
    await this.#readable(request.serializable);
    const {mvcc, clock} = this.#replica;
    const header = this.header();
    const slices = mvcc.rangeSlices(request, {keptBytes: RANGE_KEPT_BYTES});
    return {header, result: await runSlices(slices, clock)};
  }

  /** The same range at one revision in parts of bounded size, in key order; the count comes with the last part. */
  async *rangeStream(request: RangeRequest): AsyncGenerator<Answered<RangeResult>> {
    await this.#readable(request.serializable);
    const {mvcc, clock} = this.#replica;
    const header = this.header();
    for (const result of mvcc.rangeParts(request)) {
      yield {header, result};
      await clock.yield();
    }
  }

  async put(request: PutRequest, signal?: AbortSignal): Promise<Answered<PutResult>> {
    return this.#answer(await this.#write({type: 'put', request}, signal), 'put');
  }

  async deleteRange(request: DeleteRangeRequest, signal?: AbortSignal): Promise<Answered<DeleteRangeResult>> {
    return this.#answer(await this.#write({type: 'deleteRange', request}, signal), 'deleteRange');
  }

  /** A transaction that cannot write is a read: it costs no log entry. */
  async txn(request: TxnRequest, signal?: AbortSignal): Promise<Answered<TxnResult>> {
    if (!isReadOnlyTxn(request))
      return this.#answer(await this.#write({type: 'txn', request}, signal), 'txn');
    await this.#readable(isSerializable(request));
    const header = this.header();
    return {header, result: await runSlices(this.#replica.mvcc.readTxn(request), this.#replica.clock)};
  }

  /** `physical`: resolves only when the revisions are gone from this member's store. */
  async compact(
    request: {revision: number; physical: boolean},
    signal?: AbortSignal,
  ): Promise<Answered<undefined>> {
    const applied = await this.#write({type: 'compact', revision: request.revision}, signal);
    if (request.physical) {
      await this.#replica.reclaimer.compacted(request.revision);
      await this.#replica.store.flush();
    }
    return {header: this.#headerAt(applied.revision), result: undefined};
  }

  // ---- Leases -----------------------------------------------------------------------------------------------

  /** `id` 0n: one is chosen. */
  async leaseGrant(request: {
    id: LeaseId;
    ttlSeconds: number;
  }): Promise<Answered<{id: LeaseId; ttlSeconds: number}>> {
    this.#replica.quota.check({type: 'leaseGrant', id: request.id, ttlSeconds: request.ttlSeconds});
    const {id, ttlSeconds, at} = await this.#replica.leases.grant(request);
    return {header: this.#headerAt(at.revision), result: {id, ttlSeconds}};
  }

  async leaseRevoke(id: LeaseId): Promise<Answered<undefined>> {
    const applied = await this.#replica.leases.revoke(id);
    return {header: this.#headerAt(applied.revision), result: undefined};
  }

  /** The new TTL in seconds; 0 when there is no such lease. */
  async leaseRenew(id: LeaseId): Promise<Answered<{ttlSeconds: number}>> {
    const ttlSeconds = await this.#replica.leases.renew(id);
    return {header: this.header(), result: {ttlSeconds}};
  }

  /** `ttlSeconds` -1 when there is no such lease. */
  async leaseTimeToLive(request: {
    id: LeaseId;
    keys: boolean;
  }): Promise<Answered<{ttlSeconds: number; grantedTtlSeconds: number; keys: readonly Uint8Array[]}>> {
    const ttlSeconds = await this.#replica.leases.remaining(request.id);
    await this.#replica.installer.available();
    const {lessor, mvcc, clock} = this.#replica;
    const lease = lessor.lease(request.id);
    const header = this.header();
    if (lease === undefined || ttlSeconds < 0) {
      return {header, result: {ttlSeconds: -1, grantedTtlSeconds: 0, keys: []}};
    }
    const keys = request.keys ? await runSlices(mvcc.keysOfLeaseSlices(request.id), clock) : [];
    return {header, result: {ttlSeconds, grantedTtlSeconds: lease.ttlSeconds, keys}};
  }

  async leases(): Promise<Answered<readonly LeaseId[]>> {
    await this.#whole({linearizable: true});
    const {lessor, clock} = this.#replica;
    const header = this.header();
    return {header, result: await runSlices(lessor.idSlices(), clock)};
  }

  // ---- Members ----------------------------------------------------------------------------------------------

  async memberAdd(request: {
    peerURLs: readonly string[];
    isLearner: boolean;
  }): Promise<Answered<{member: Member; members: readonly Member[]}>> {
    const {added, members} = await this.#replica.membership.change({type: 'add', ...request});
    const member = members.find(({id}) => id === added);
    if (member === undefined) throw new EngineError({code: 'memberNotFound'});
    return {header: this.header(), result: {member, members}};
  }

  memberRemove(id: MemberId): Promise<Answered<readonly Member[]>> {
    return this.#changedMembers({type: 'remove', id});
  }

  memberUpdate(request: {id: MemberId; peerURLs: readonly string[]}): Promise<Answered<readonly Member[]>> {
    return this.#changedMembers({type: 'update', ...request});
  }

  memberPromote(id: MemberId): Promise<Answered<readonly Member[]>> {
    return this.#changedMembers({type: 'promote', id});
  }

  async members(request: {linearizable: boolean}): Promise<Answered<readonly Member[]>> {
    await this.#whole(request);
    return {header: this.header(), result: this.#replica.members.list()};
  }

  async #changedMembers(operation: MemberOperation): Promise<Answered<readonly Member[]>> {
    const {members} = await this.#replica.membership.change(operation);
    return {header: this.header(), result: members};
  }

  // ---- Maintenance ------------------------------------------------------------------------------------------

  async alarms(): Promise<Answered<readonly Alarm[]>> {
    await this.#whole({linearizable: false});
    return {header: this.header(), result: this.#replica.alarms.list()};
  }

  alarmActivate(alarm: Alarm): Promise<Answered<readonly Alarm[]>> {
    return this.#alarm({type: 'alarm', action: 'activate', memberId: alarm.memberId, alarm: alarm.alarm});
  }

  alarmDeactivate(alarm: Alarm): Promise<Answered<readonly Alarm[]>> {
    return this.#alarm({type: 'alarm', action: 'deactivate', memberId: alarm.memberId, alarm: alarm.alarm});
  }

  async status(): Promise<Answered<MemberStatus>> {
    const {store, loop, applier, alarms, config} = this.#replica;
    const {fileBytes, inUseBytes} = store.size();
    const raft = loop.status();
    const result = {
      version: API_VERSION,
      dbSize: fileBytes,
      dbSizeInUse: inUseBytes,
      dbSizeQuota: Math.max(0, config.quotaBackendBytes),
      leader: raft.leader,
      raftIndex: raft.commit,
      raftTerm: raft.term,
      raftAppliedIndex: applier.index,
      alarms: alarms.list(),
      isLearner: this.isLearner(),
      storageVersion: STORAGE_VERSION,
    };
    return {header: this.header(), result};
  }

  defragment(): Promise<void> {
    return this.#replica.store.defragment();
  }

  /** A hash over the whole store, for one member's own comparison before and after; not comparable otherwise. */
  async hash(signal: AbortSignal): Promise<Answered<number>> {
    const result = await this.#replica.snapshots.hash(signal);
    return {header: this.header(), result};
  }

  async hashKv(
    revision: number,
  ): Promise<Answered<{hash: number; compactRevision: number; hashRevision: number}>> {
    // Linearizable, so that members asked one after the other all have at least what the first had.
    await this.#whole({linearizable: revision === 0});
    const {mvcc, clock, reclaimer} = this.#replica;
    const at = revision === 0 ? mvcc.currentRevision() : revision;
    if (at <= mvcc.currentRevision()) await reclaimer.settled(at);
    const result = await runSlicesGently(mvcc.hashKv(at), clock);
    return {header: this.header(), result};
  }

  snapshot(signal: AbortSignal): Promise<SnapshotStream> {
    return this.#replica.snapshots.open(signal);
  }

  /** On the leader alone. @throws EngineError notLeader, badLeaderTransferee, leaderTransferTimeout */
  moveLeader(target: MemberId): Promise<void> {
    return this.#replica.leadership.move(target);
  }

  /** Resolves when a quorum has just confirmed its leader to this member. */
  confirmLeader(): Promise<void> {
    return this.#replica.reads.confirm();
  }

  // ---- Ways -------------------------------------------------------------------------------------------------

  #headerAt(revision: number): Header {
    const {identity, loop} = this.#replica;
    return {
      clusterId: identity.clusterId,
      memberId: identity.memberId,
      revision,
      raftTerm: loop.term,
    };
  }

  #write(command: Command, signal: AbortSignal | undefined): Promise<ApplyResult> {
    const {quota, proposals, applier} = this.#replica;
    quota.check(command);
    if (applier.backlog > COMMITTED_UNAPPLIED_MAX) throw new EngineError({code: 'tooManyRequests'});
    return proposals.submit(command, signal);
  }

  async #readable(serializable: boolean): Promise<void> {
    const {alarms, reads, installer} = this.#replica;
    if (!serializable) await reads.confirm();
    await installer.available();
    const refused = alarms.refuseAll();
    if (refused !== undefined) throw refused;
  }

  /** While a snapshot of another member is being taken in there is nothing consistent to read. */
  async #whole({linearizable}: {linearizable: boolean}): Promise<void> {
    const {reads, installer} = this.#replica;
    if (linearizable) await reads.confirm();
    await installer.available();
  }

  #answer<Type extends keyof Results>(
    {response, revision}: ApplyResult,
    type: Type,
  ): Answered<Results[Type]> {
    assert(!(response instanceof EngineError) && response.type === type, `a ${type} was not answered as one`);
    return {
      header: this.#headerAt(revision),
      result: (response as {result: unknown}).result as Results[Type],
    };
  }

  async #alarm(command: Command & {type: 'alarm'}): Promise<Answered<readonly Alarm[]>> {
    const {response, revision} = await this.#replica.proposals.submit(command);
    assert(!(response instanceof EngineError) && response.type === 'alarm', 'an alarm command was answered');
    return {header: this.#headerAt(revision), result: response.alarms};
  }
}

interface Results {
  readonly put: PutResult;
  readonly deleteRange: DeleteRangeResult;
  readonly txn: TxnResult;
}

/** As etcd decides it: one linearizable range makes the whole transaction linearizable. */
function isSerializable(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every(
    (op) => op.requestTxn === undefined && op.requestRange?.serializable === true,
  );
}
