/**
 * What clients were told, held against what the log says. Every answer names the revision at which it became true,
 * and every write's value is unique; so instead of a search there are four questions: is the answer exactly the
 * state (or the change) of that revision, is the revision not older than anything answered before the question was
 * put, does it exist already, and has no other write been given it. At the end the same requests go through the
 * search for an order, which knows nothing of the log.
 */

import type {
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  RangeResult,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResult,
} from '../../src/engine/types.ts';
import type {DeletionSeen} from './checkers/kv-history.ts';
import {KvRecorder} from './checkers/kv-recorder.ts';
import {areSame, describe, isSame, type KvModel, type ModelKeyValue, textOf} from './kv-model.ts';

export type Violate = (invariant: string, detail: string) => void;

/** What a client knows when it asks. */
export interface Asked {
  readonly who: string;
  /** The largest revision in any answer that was there before. */
  readonly floor: number;
  readonly atMs: number;
}

export interface HistoryOptions {
  readonly model: KvModel;
  readonly violate: Violate;
  readonly nowMs: () => number;
  /** All keys that clients use. */
  readonly keys: readonly string[];
}

export class History {
  readonly #model: KvModel;
  readonly #violate: Violate;
  #floor = 1;
  /** Who was told that its write is this revision. */
  readonly #claimed = new Map<number, string>();
  /** Values of writes: how they ended. */
  readonly #values = new Map<string, 'asked' | 'acknowledged' | 'refused'>();
  readonly #hashes = new Map<string, number>();
  answered = 0;
  acknowledgedWrites = 0;
  unknown = 0;
  /** Sets of keys whose order the search gave up on. */
  undecidedParts = 0;
  readonly #nowMs: () => number;
  readonly #recorder: KvRecorder;
  readonly #keys: ReadonlySet<string>;

  constructor({model, violate, nowMs, keys}: HistoryOptions) {
    this.#model = model;
    this.#violate = violate;
    this.#nowMs = nowMs;
    this.#recorder = new KvRecorder(keys);
    this.#keys = new Set(keys);
  }

  get floor(): number {
    return this.#floor;
  }

  ask(who: string, values: readonly string[] = []): Asked {
    for (const value of values) this.#values.set(value, 'asked');
    return {who, floor: this.#floor, atMs: this.#nowMs()};
  }

  /** The answer was a definite no: nothing of it may ever be seen. */
  refused(values: readonly string[]): void {
    for (const value of values) this.#values.set(value, 'refused');
  }

  /** Nobody knows what became of it. */
  unanswered(asked: Asked, request: RequestOp): void {
    this.#recorder.single(asked.atMs, request, undefined);
  }

  unansweredTxn(asked: Asked, request: TxnRequest): void {
    this.#recorder.txn(asked.atMs, request, undefined);
  }

  put(asked: Asked, request: PutRequest, revision: number, prevKv: KeyValue | undefined): void {
    const value = textOf(request.value);
    this.#values.set(value, 'acknowledged');
    this.#record(asked, revision, {requestPut: request}, {responsePut: {prevKv}});
    if (!this.#write(asked, revision)) return;
    const key = textOf(request.key);
    const event = this.#model.eventsOf(revision).find((one) => one.key === key);
    if (event?.type !== 'put' || event.kv?.value !== value)
      this.#wrong(asked, `put ${key}=${value} was acknowledged at ${revision}, which is another change`);
    if (request.prevKv) this.#checkPrevious(asked, prevKv, this.#model.at(revision - 1).get(key));
  }

  deleteRange(
    asked: Asked,
    request: DeleteRangeRequest,
    revision: number,
    {deleted, prevKvs}: {deleted: number; prevKvs: readonly KeyValue[]},
  ): void {
    this.#record(asked, revision, {requestDeleteRange: request}, {responseDeleteRange: {deleted, prevKvs}});
    if (!this.#order(asked, revision, {isStale: false})) return;
    if (deleted > 0 && !this.#write(asked, revision)) return;
    const gone = this.#model.range(deleted > 0 ? revision - 1 : revision, request);
    if (gone.length !== deleted)
      this.#wrong(asked, `deleted ${deleted} keys at ${revision}, but there were ${gone.length}`);
    if (request.prevKv && !areSame(prevKvs, gone))
      this.#wrong(asked, `the deleted keys at ${revision} were others: ${describe(prevKvs)}`);
  }

  range(asked: Asked, request: RangeRequest, header: number, {kvs, count, more}: RangeResult): void {
    if (!request.serializable && request.revision === 0)
      this.#record(asked, header, {requestRange: request}, {responseRange: {kvs, count, more}});
    if (!this.#order(asked, header, {isStale: request.serializable})) return;
    const revision = request.revision > 0 ? request.revision : header;
    if (revision > header) {
      this.#wrong(asked, `read revision ${revision} at ${header}`);
      return;
    }
    const model = this.#model.range(revision, request);
    if (count !== model.length || !areSame(kvs, model))
      this.#wrong(
        asked,
        `a read at ${revision} gave ${count} keys: ${describe(kvs)}; right are ${model.map((kv) => `${kv.key}=${kv.value}@${kv.modRevision}`).join(' ')}`,
      );
  }

  txn(asked: Asked, request: TxnRequest, revision: number, {succeeded, responses}: TxnResult): void {
    this.#recorder.txn(asked.atMs, request, {revision, returnAt: this.#nowMs(), succeeded, responses});
    const ops = succeeded ? request.success : request.failure;
    const wrote = responses.some(
      ({responsePut, responseDeleteRange}) =>
        responsePut !== undefined || (responseDeleteRange?.deleted ?? 0) > 0,
    );
    for (const {requestPut} of ops)
      if (requestPut !== undefined) this.#values.set(textOf(requestPut.value), 'acknowledged');
    for (const {requestPut} of succeeded ? request.failure : request.success)
      if (requestPut !== undefined) this.#values.set(textOf(requestPut.value), 'refused');
    if (wrote ? !this.#write(asked, revision) : !this.#order(asked, revision, {isStale: false})) return;
    if (this.#model.holds(wrote ? revision - 1 : revision, request.compare) !== succeeded)
      this.#wrong(asked, `a transaction at ${revision} decided ${succeeded}, which is wrong`);
    for (const {requestPut} of ops) {
      if (requestPut === undefined) continue;
      const key = textOf(requestPut.key);
      const found = this.#model.at(revision).get(key);
      if (found?.value !== textOf(requestPut.value) || found.modRevision !== revision)
        this.#wrong(asked, `a transaction's put of ${key} at ${revision} is not there`);
    }
    for (const [place, {responseRange}] of responses.entries()) {
      const range = ops[place].requestRange;
      if (responseRange === undefined || range === undefined) continue;
      // Ranges stand before writes in the clients' transactions.
      if (!areSame(responseRange.kvs, this.#model.range(wrote ? revision - 1 : revision, range)))
        this.#wrong(asked, `a transaction's range at ${revision} is wrong: ${describe(responseRange.kvs)}`);
    }
  }

  /** An answer about something else than keys; its header still tells a revision. */
  other(asked: Asked, revision: number): void {
    this.#order(asked, revision, {isStale: false});
  }

  /** What hangs on a lease that lives. */
  leaseKeys({who}: Asked, id: bigint, revision: number, keys: readonly Uint8Array[]): void {
    const attached = [...this.#model.at(revision).values()].filter(({lease}) => lease === id);
    const [right, found] = [attached.map(({key}) => key), keys.map(textOf)].map((all) =>
      all.sort().join(' '),
    );
    if (right !== found)
      this.#violate('leases', `${who}: at ${revision} lease ${id} has the keys ${right}, not ${found}`);
  }

  /** Members agree at a revision, however far each has come with deleting what is compacted. */
  hashKv(
    asked: Asked,
    header: number,
    found: {readonly hash: number; readonly compactRevision: number; readonly hashRevision: number},
    isStale: boolean,
  ): void {
    const {hash, compactRevision, hashRevision} = found;
    if (!this.#order(asked, header, {isStale})) return;
    const place = `${hashRevision} compacted at ${compactRevision}`;
    const known = this.#hashes.get(place) ?? hash;
    this.#hashes.set(place, known);
    if (known !== hash) this.#violate('hash kv', `${asked.who}: ${hash} at ${place}, to others ${known}`);
  }

  /** At the end: acknowledged writes are there once, refused ones never, all others at most once. */
  finish(): void {
    const seen = new Map<string, number>();
    const putAt = new Map<string, number>();
    for (let revision = 2; revision <= this.#model.revision; revision++) {
      for (const {kv} of this.#model.eventsOf(revision)) {
        if (kv === undefined) continue;
        seen.set(kv.value, (seen.get(kv.value) ?? 0) + 1);
        putAt.set(kv.value, revision);
      }
    }
    for (const [value, fate] of this.#values) {
      const times = seen.get(value) ?? 0;
      const isRight = fate === 'acknowledged' ? times === 1 : fate === 'refused' ? times === 0 : times <= 1;
      if (!isRight)
        this.#violate('exactly once', `the write ${value} was ${fate} and happened ${times} times`);
      if (fate === 'asked') this.unknown++;
    }
    for (const {revision, keys} of this.#model.expirations) this.#recorder.expired(keys, revision);
    const {violation, undecidedParts} = this.#recorder.check({
      puts: putAt,
      unansweredDeletions: this.#unansweredDeletions(),
    });
    this.undecidedParts = undecidedParts;
    if (violation !== undefined) this.#violate('linearizability', violation);
  }

  /** Deletions in the log that no client was told of, of the keys that clients use. */
  #unansweredDeletions(): DeletionSeen[] {
    const expired = new Set(this.#model.expirations.map(({revision}) => revision));
    const found: DeletionSeen[] = [];
    for (let revision = 2; revision <= this.#model.revision; revision++) {
      if (this.#claimed.has(revision) || expired.has(revision)) continue;
      const events = this.#model.eventsOf(revision);
      const keys = events.map(({key}) => key).filter((key) => this.#keys.has(key));
      if (keys.length > 0 && events.every(({type}) => type === 'delete')) found.push({revision, keys});
    }
    return found;
  }

  #record({atMs}: Asked, revision: number, request: RequestOp, response: ResponseOp): void {
    this.#recorder.single(atMs, request, {revision, returnAt: this.#nowMs(), response});
  }

  #write(asked: Asked, revision: number): boolean {
    if (!this.#order(asked, revision, {isStale: false})) return false;
    this.acknowledgedWrites++;
    if (revision <= asked.floor)
      this.#wrong(asked, `a write got revision ${revision}, which was known before (${asked.floor})`);
    const other = this.#claimed.get(revision);
    if (other !== undefined) this.#wrong(asked, `revision ${revision} belongs to ${other} as well`);
    this.#claimed.set(revision, asked.who);
    return true;
  }

  #order(asked: Asked, revision: number, {isStale}: {isStale: boolean}): boolean {
    this.answered++;
    if (!isStale && revision < asked.floor) {
      this.#wrong(asked, `answered at revision ${revision}, after ${asked.floor} was answered to somebody`);
      return false;
    }
    if (revision > this.#model.revision) {
      this.#wrong(asked, `answered at revision ${revision}, but there are only ${this.#model.revision}`);
      return false;
    }
    if (!isStale) this.#floor = Math.max(this.#floor, revision);
    return true;
  }

  #checkPrevious(asked: Asked, found: KeyValue | undefined, model: ModelKeyValue | undefined): void {
    const isRight = found === undefined ? model === undefined : model !== undefined && isSame(found, model);
    if (!isRight) this.#wrong(asked, `the previous value is wrong: ${found && describe([found])}`);
  }

  #wrong({who}: Asked, detail: string): void {
    this.#violate('linearizability', `${who}: ${detail}`);
  }
}
