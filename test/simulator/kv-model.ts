/**
 * What the cluster's keys must be: the committed commands in log order, carried out by the simplest code that can
 * do it. Every revision is a whole copy, so that any answer can be compared with the state it claims to come from.
 */

import type {Command} from '../../src/engine/state-machine/command.ts';
import {
  AlarmType,
  type Compare,
  CompareResult,
  CompareTarget,
  type KeyRange,
  type KeyValue,
  type RequestOp,
  type TxnRequest,
} from '../../src/engine/types.ts';

export interface ModelKeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export interface ModelEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly revision: number;
  readonly kv: ModelKeyValue | undefined;
  readonly before: ModelKeyValue | undefined;
}

export interface ModelLease {
  readonly ttlSeconds: number;
  readonly grantedIndex: number;
}

type State = Map<string, ModelKeyValue>;

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export class KvModel {
  /** The last log index that was carried out. */
  index = 0;
  compactRevision = 0;
  readonly leases = new Map<bigint, ModelLease>();
  /** Keys that went with their lease. */
  readonly expirations: {readonly revision: number; readonly keys: readonly string[]}[] = [];
  /** By revision; the empty store is revision 1. */
  readonly #states: State[] = [new Map(), new Map()];
  readonly #events: (readonly ModelEvent[])[] = [[], []];
  /** Members with a NOSPACE alarm: while there is one, nothing grows. */
  readonly #noSpace = new Set<bigint>();
  #open: {state: State; events: ModelEvent[]} | undefined;

  get revision(): number {
    return this.#states.length - 1;
  }

  at(revision: number): ReadonlyMap<string, ModelKeyValue> {
    return this.#states[revision];
  }

  eventsOf(revision: number): readonly ModelEvent[] {
    return this.#events[revision];
  }

  apply(index: number, term: number, command: Command | undefined): void {
    this.index = index;
    if (command !== undefined) this.#run(index, term, command);
    if (this.#open === undefined) return;
    this.#states.push(this.#open.state);
    this.#events.push(this.#open.events);
    this.#open = undefined;
  }

  /** Keys of the range in that state, in order. */
  range(revision: number, {key, rangeEnd}: KeyRange): ModelKeyValue[] {
    return rangeOf(this.#states[revision], textOf(key), textOf(rangeEnd));
  }

  holds(revision: number, compares: readonly Compare[]): boolean {
    return compares.every((compare) => holdsIn(this.#states[revision], compare));
  }

  get isFull(): boolean {
    return this.#noSpace.size > 0;
  }

  #run(index: number, term: number, command: Command): void {
    if (this.isFull && grows(command)) return;
    switch (command.type) {
      case 'put':
        if (!this.#isRefused([{requestPut: command.request}])) this.#do([{requestPut: command.request}]);
        return;
      case 'deleteRange':
        this.#do([{requestDeleteRange: command.request}]);
        return;
      case 'txn':
        this.#txn(command.request);
        return;
      case 'compact':
        if (command.revision > this.compactRevision && command.revision <= this.revision)
          this.compactRevision = command.revision;
        return;
      case 'leaseGrant':
        if (!this.leases.has(command.id))
          this.leases.set(command.id, {ttlSeconds: command.ttlSeconds, grantedIndex: index});
        return;
      case 'alarm':
        if (command.alarm !== AlarmType.noSpace) return;
        if (command.action === 'activate') this.#noSpace.add(command.memberId);
        else this.#noSpace.delete(command.memberId);
        return;
      case 'leaseRevoke':
        if (command.proposerTerm === 0 || command.proposerTerm === term) this.#revoke(command.id);
        return;
      default:
    }
  }

  #txn({compare, success, failure}: TxnRequest): void {
    const ops = this.holds(this.revision, compare) ? success : failure;
    if (!this.#isRefused(ops)) this.#do(ops);
  }

  #isRefused(ops: readonly RequestOp[]): boolean {
    return ops.some(
      ({requestPut, requestRange}) =>
        (requestPut !== undefined && requestPut.lease !== 0n && !this.leases.has(requestPut.lease)) ||
        (requestRange !== undefined &&
          requestRange.revision > 0 &&
          (requestRange.revision < this.compactRevision || requestRange.revision > this.revision)),
    );
  }

  #do(ops: readonly RequestOp[]): void {
    for (const {requestPut, requestDeleteRange} of ops) {
      if (requestPut !== undefined)
        this.#put(textOf(requestPut.key), textOf(requestPut.value), requestPut.lease);
      if (requestDeleteRange !== undefined) {
        const state = this.#open?.state ?? this.#states[this.revision];
        const {key, rangeEnd} = requestDeleteRange;
        for (const kv of rangeOf(state, textOf(key), textOf(rangeEnd))) this.#delete(kv.key);
      }
    }
  }

  #revoke(id: bigint): void {
    if (!this.leases.delete(id)) return;
    const attached = [...this.#states[this.revision].values()].filter(({lease}) => lease === id);
    const keys = attached.map(({key}) => key).sort();
    if (keys.length > 0) this.expirations.push({revision: this.revision + 1, keys});
    for (const key of keys) this.#delete(key);
  }

  #put(key: string, value: string, lease: bigint): void {
    const {state, events} = this.#edit();
    const before = state.get(key);
    const modRevision = this.revision + 1;
    const createRevision = before?.createRevision ?? modRevision;
    const kv = {key, value, createRevision, modRevision, version: (before?.version ?? 0) + 1, lease};
    state.set(key, kv);
    events.push({type: 'put', key, revision: modRevision, kv, before});
  }

  #delete(key: string): void {
    const {state, events} = this.#edit();
    events.push({type: 'delete', key, revision: this.revision + 1, kv: undefined, before: state.get(key)});
    state.delete(key);
  }

  #edit(): {state: State; events: ModelEvent[]} {
    this.#open ??= {state: new Map(this.#states[this.revision]), events: []};
    return this.#open;
  }
}

/** Whether it may take space, whichever branch runs. */
function grows(command: Command): boolean {
  if (command.type === 'txn')
    return [...command.request.success, ...command.request.failure].some(
      ({requestPut}) => requestPut !== undefined,
    );
  return command.type === 'put' || command.type === 'leaseGrant';
}

function rangeOf(state: ReadonlyMap<string, ModelKeyValue>, key: string, rangeEnd: string): ModelKeyValue[] {
  if (rangeEnd === '') {
    const kv = state.get(key);
    return kv === undefined ? [] : [kv];
  }
  const isIn = (one: string) => one >= key && (rangeEnd === '\0' || one < rangeEnd);
  const found = [...state.values()].filter((kv) => isIn(kv.key));
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function holdsIn(state: ReadonlyMap<string, ModelKeyValue>, compare: Compare): boolean {
  const kv = state.get(textOf(compare.key));
  let order: number;
  switch (compare.target) {
    case CompareTarget.value: {
      if (kv === undefined) return false;
      const wanted = textOf(compare.value ?? new Uint8Array(0));
      order = kv.value < wanted ? -1 : kv.value > wanted ? 1 : 0;
      break;
    }
    case CompareTarget.version:
      order = (kv?.version ?? 0) - (compare.version ?? 0);
      break;
    case CompareTarget.create:
      order = (kv?.createRevision ?? 0) - (compare.createRevision ?? 0);
      break;
    default:
      order = (kv?.modRevision ?? 0) - (compare.modRevision ?? 0);
  }
  if (compare.result === CompareResult.equal) return order === 0;
  if (compare.result === CompareResult.greater) return order > 0;
  return compare.result === CompareResult.less ? order < 0 : order !== 0;
}

/** Whether an answer shows exactly this. */
export function isSame(kv: KeyValue, model: ModelKeyValue): boolean {
  return (
    textOf(kv.key) === model.key &&
    textOf(kv.value) === model.value &&
    kv.createRevision === model.createRevision &&
    kv.modRevision === model.modRevision &&
    kv.version === model.version &&
    kv.lease === model.lease
  );
}

export function areSame(kvs: readonly KeyValue[], model: readonly ModelKeyValue[]): boolean {
  return kvs.length === model.length && kvs.every((kv, i) => isSame(kv, model[i]));
}

export function describe(kvs: readonly KeyValue[]): string {
  return kvs.map(({key, value, modRevision}) => `${textOf(key)}=${textOf(value)}@${modRevision}`).join(' ');
}
