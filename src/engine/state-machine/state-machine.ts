/**
 * The replicated state: the same entries make the same state, and the same records, on every member. It is given
 * committed entries one after the other and never asks for anything else: no clock, no chance, no waiting.
 *
 * A long command runs in slices. Its changes lie beyond the current revision until the last slice, so that nobody
 * sees half of it; and since everything that can refuse it is checked before the first change, none is left behind
 * by a command that fails.
 */

import {assert, EngineError} from '../errors.ts';
import {toLatin1} from '../lib/bytes.ts';
import {PENDING_DELETE_KEYS_MIN, SLICE_KEYS} from '../limits.ts';
import type {Logger} from '../ports.ts';
import type {AppliedMark, Event, Index, Term} from '../types.ts';
import {Alarms} from './alarms.ts';
import type {ApplyResult, CommandResponse} from './apply-result.ts';
import type {Command, Proposal} from './command.ts';
import {Effects} from './effects.ts';
import {type LeaseChange, Lessor} from './lease/lessor.ts';
import {
  CONF_STATE_KEY,
  type ConfState,
  EMPTY_CONF_STATE,
  encodeConfState,
  storedConfState,
} from './member-record.ts';
import {Members, type MembershipChange} from './members.ts';
import {MvccStore} from './mvcc/store.ts';
import type {TextRange} from './mvcc/text-range.ts';
import {checkPut, checkTxn, decideTxn, deleteKeys, deleteRangeSlices, executeTxn, put} from './mvcc/txn.ts';
import {requestCost} from './quota.ts';
import type {Records} from './records.ts';
import {SliceBudget} from './slice-budget.ts';

const CLUSTER_VERSION = Buffer.from('clusterVersion', 'latin1');
const AUTH_ENABLED = Buffer.from('authEnabled', 'latin1');

interface EntryPosition {
  readonly index: Index;
  readonly term: Term;
}

/** What a command did; events and lease changes are mostly none. */
interface Outcome {
  readonly response: CommandResponse | EngineError;
  readonly events: readonly Event[];
  readonly leaseChanges: readonly LeaseChange[];
  /** Keys that a deletion took whose events are not listed. */
  readonly deletedRange?: TextRange | undefined;
}

const NO_EVENTS: readonly Event[] = [];
const NO_LEASE_CHANGES: readonly LeaseChange[] = [];

export class StateMachine {
  readonly mvcc: MvccStore;
  readonly lessor: Lessor;
  readonly members: Members;
  readonly alarms: Alarms;
  readonly #records: Records;
  readonly #effects: Effects;
  #confState: ConfState = EMPTY_CONF_STATE;
  /** A command is between its first slice and its last. */
  #isApplying = false;
  /** Revision and hash when the entry being applied was begun. */
  #revision = 0;
  #hash = 0;

  /** `pendingDeleteKeysMin` is part of what all members must agree on: for tests alone. */
  constructor(options: {records: Records; logger: Logger; pendingDeleteKeysMin?: number | undefined}) {
    const {records, logger, pendingDeleteKeysMin = PENDING_DELETE_KEYS_MIN} = options;
    this.#records = records;
    this.#effects = new Effects(records);
    this.lessor = new Lessor(this.#effects);
    this.mvcc = new MvccStore({
      effects: this.#effects,
      lessor: this.lessor,
      logger,
      pendingDeleteKeysMin,
    });
    this.members = new Members(this.#effects);
    this.alarms = new Alarms(this.#effects);
  }

  /**
   * Reads everything anew from the records: at start-up, and after a snapshot replaced them (then with no entry
   * half applied, and unfinished walks over the store dropped). @throws EngineError storeCorrupt
   */
  *load(): Generator<undefined, void> {
    this.#isApplying = false;
    this.#effects.suspend();
    yield* this.lessor.load();
    this.members.load();
    this.alarms.load();
    this.#confState = storedConfState(this.#records);
    // Read now, so that damage is met at the start and not when this member comes to lead.
    this.clusterVersion();
    yield* this.mvcc.load();
    this.#effects.resume();
  }

  applied(): AppliedMark {
    return this.#records.applied();
  }

  /** The configuration as of the last applied entry. */
  confState(): ConfState {
    return this.#confState;
  }

  /** The API level all members have, `3.6.0`; undefined until the first leader has set it. */
  clusterVersion(): string | undefined {
    const value = this.#records.get('cluster', CLUSTER_VERSION);
    return value && toLatin1(value);
  }

  /** Whether the store comes from a cluster that enforces users and roles. */
  authEnabled(): boolean {
    return this.#records.get('auth', AUTH_ENABLED)?.[0] === 1;
  }

  /**
   * Applies the next entry. The result, or for a long command the slices that are left: run them to the end
   * before the next entry. `proposal` undefined: an entry without a command. Nothing of `proposal` is kept.
   */
  apply({
    index,
    term,
    proposal,
  }: EntryPosition & {proposal: Proposal | undefined}): ApplyResult | Generator<undefined, ApplyResult> {
    this.#begin(index);
    if (proposal === undefined) return this.#finish({index, term}, done({type: 'none'}));
    const {command} = proposal;
    const refused = this.#refuse(command);
    if (refused !== undefined) return this.#finish({index, term}, done(refused));
    const slices = this.#run(command, term);
    const first = slices.next();
    return first.done ? this.#finish({index, term}, first.value) : this.#goOn({index, term}, slices);
  }

  /**
   * Applies a change of the configuration. `change` undefined: only `confState` moves (a joint configuration is
   * left, or a change was refused). The caller has asked `members.check` in the same state.
   */
  applyMembership({
    index,
    term,
    change,
    confState,
  }: EntryPosition & {change: MembershipChange | undefined; confState: ConfState}): ApplyResult {
    this.#begin(index);
    if (change !== undefined) this.members.apply(change);
    this.#confState = confState;
    this.#effects.put('meta', CONF_STATE_KEY, encodeConfState(confState));
    return this.#finish({index, term}, done({type: 'membership', members: this.members.list()}));
  }

  #begin(index: Index): void {
    assert(!this.#isApplying, 'one entry is applied at a time');
    assert(this.#effects.isInStep, 'entries are applied to a loaded state');
    assert(index === this.#records.applied().index + 1, 'entries are applied in order, without a gap');
    this.#isApplying = true;
    this.#revision = this.mvcc.currentRevision();
    this.#hash = this.#effects.hash;
  }

  *#goOn(entry: EntryPosition, slices: Generator<undefined, Outcome>): Generator<undefined, ApplyResult> {
    return this.#finish(entry, yield* slices);
  }

  #finish(entry: EntryPosition, {response, events, leaseChanges, deletedRange}: Outcome): ApplyResult {
    const isChange = events.length > 0 || deletedRange !== undefined;
    const revision = this.mvcc.currentRevision();
    assert(this.#isApplying, 'what ends was begun');
    assert(revision === this.#revision + (isChange ? 1 : 0), 'a revision moves with its events');
    if (response instanceof EngineError) {
      assert(!isChange && leaseChanges.length === 0, 'a refused command has no effect');
      assert(this.#effects.hash === this.#hash, 'a refused command leaves no trace');
    }
    this.#effects.mark(entry);
    this.#isApplying = false;
    return {response, revision, events, leaseChanges, deletedRange};
  }

  /** The alarms' veto. */
  #refuse(command: Command): EngineError | undefined {
    if (!OUTSIDE_ALARMS.has(command.type)) {
      const corrupt = this.alarms.refuseAll();
      if (corrupt !== undefined) return corrupt;
    }
    const noSpace = this.alarms.refuseGrowth();
    return noSpace !== undefined && requestCost(command) > 0 ? noSpace : undefined;
  }

  *#run(command: Command, term: Term): Generator<undefined, Outcome> {
    const {mvcc, lessor} = this;
    switch (command.type) {
      case 'put': {
        const refused = checkPut(mvcc.reader, command.request, {at: mvcc.currentRevision(), lessor});
        if (refused !== undefined) return done(refused);
        if (mvcc.hasUnsettled) yield* mvcc.listSlices(toLatin1(command.request.key));
        const txn = mvcc.beginWrite();
        const result = put(txn, command.request);
        mvcc.endWrite(txn);
        return done({type: 'put', result}, txn.events);
      }
      case 'deleteRange': {
        const many = yield* mvcc.deleteManySlices(command.request);
        if (many !== undefined) {
          const {deleted, range} = many;
          return {...done({type: 'deleteRange', result: {deleted, prevKvs: []}}), deletedRange: range};
        }
        const txn = mvcc.beginWrite();
        const result = yield* deleteRangeSlices(txn, command.request, new SliceBudget());
        mvcc.endWrite(txn);
        return done({type: 'deleteRange', result}, txn.events);
      }
      case 'txn':
        return yield* this.#runTxn(command.request);
      case 'compact': {
        const refused = mvcc.checkCompact(command.revision);
        if (refused !== undefined) return done(refused);
        mvcc.compact(command.revision);
        return done({type: 'compact'});
      }
      case 'leaseRevoke':
        return yield* this.#revoke(command, term);
      default:
        return this.#runSmall(command, term);
    }
  }

  *#runTxn(request: Extract<Command, {type: 'txn'}>['request']): Generator<undefined, Outcome> {
    const {mvcc, lessor} = this;
    const at = mvcc.currentRevision();
    const budget = new SliceBudget();
    const decided = yield* decideTxn(mvcc.reader, request, at, budget);
    const refused = checkTxn(mvcc.reader, decided, {at, lessor});
    if (refused !== undefined) return done(refused);
    const txn = mvcc.beginWrite();
    const result = yield* executeTxn(txn, decided, budget);
    mvcc.endWrite(txn);
    return done({type: 'txn', result}, txn.events);
  }

  /** All keys of the lease go in one revision, by ascending key. */
  *#revoke({id, proposerTerm}: {id: bigint; proposerTerm: Term}, term: Term): Generator<undefined, Outcome> {
    const {mvcc, lessor} = this;
    if (isStale(proposerTerm, term)) return done({type: 'leaseRevoke', isStale: true});
    if (!lessor.has(id)) return done(new EngineError({code: 'leaseNotFound'}));
    const keys = yield* lessor.keySlices(id);
    const txn = mvcc.beginWrite();
    const budget = new SliceBudget();
    for (let from = 0; from < keys.length; from += SLICE_KEYS) {
      if (budget.isSpent) {
        yield;
        budget.renew();
      }
      const slice = keys.slice(from, from + SLICE_KEYS);
      if (mvcc.hasUnsettled) {
        for (const key of slice) {
          yield* mvcc.listSlices(key);
          mvcc.settleKey(key);
        }
      }
      deleteKeys(txn, slice, false, budget);
    }
    lessor.revoke(id);
    mvcc.endWrite(txn);
    return done({type: 'leaseRevoke', isStale: false}, txn.events, [{id, kind: 'revoked'}]);
  }

  #runSmall(
    command: Exclude<Command, {type: 'put' | 'deleteRange' | 'txn' | 'compact' | 'leaseRevoke'}>,
    term: Term,
  ): Outcome {
    const {lessor} = this;
    switch (command.type) {
      case 'leaseGrant': {
        const refused = lessor.checkGrant(command);
        if (refused !== undefined) return done(refused);
        const {id, ttlSeconds} = lessor.grant(command);
        return done({type: 'leaseGrant', id, ttlSeconds}, NO_EVENTS, [{id, kind: 'granted'}]);
      }
      case 'leaseCheckpoint': {
        if (isStale(command.proposerTerm, term)) return done({type: 'leaseCheckpoint', isStale: true});
        for (const {id, remainingTtlSeconds} of command.leases) lessor.checkpoint(id, remainingTtlSeconds);
        return done({type: 'leaseCheckpoint', isStale: false});
      }
      case 'alarm': {
        const {memberId, alarm, action} = command;
        const changed =
          action === 'activate'
            ? this.alarms.activate({memberId, alarm})
            : this.alarms.deactivate({memberId, alarm});
        return done({type: 'alarm', alarms: changed === undefined ? [] : [changed]});
      }
      case 'memberAttributes':
        this.members.setAttributes(command.memberId, command);
        return done({type: 'memberAttributes'});
      case 'clusterVersion':
        this.#effects.put('cluster', CLUSTER_VERSION, Buffer.from(command.version, 'latin1'));
        return done({type: 'clusterVersion'});
    }
  }
}

/** What goes on under a CORRUPT alarm: everything that neither reads nor writes keys and leases. */
const OUTSIDE_ALARMS: ReadonlySet<Command['type']> = new Set([
  'alarm',
  'memberAttributes',
  'clusterVersion',
  'leaseCheckpoint',
]);

/** A leader said it that no longer led when it was logged. */
function isStale(proposerTerm: Term, term: Term): boolean {
  return proposerTerm !== 0 && proposerTerm !== term;
}

function done(
  response: CommandResponse | EngineError,
  events: readonly Event[] = NO_EVENTS,
  leaseChanges: readonly LeaseChange[] = NO_LEASE_CHANGES,
): Outcome {
  return {response, events, leaseChanges};
}
