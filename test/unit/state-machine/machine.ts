/** A state machine over plain memory, and short ways to give it commands. */

import {EngineError} from '../../../src/engine/errors.ts';
import type {Logger} from '../../../src/engine/ports.ts';
import type {ApplyResult, CommandResponse} from '../../../src/engine/state-machine/apply-result.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {decodeProposal, encodeProposal} from '../../../src/engine/state-machine/command-codec.ts';
import type {LeaseRecord} from '../../../src/engine/state-machine/lease/lease-record.ts';
import {StateMachine} from '../../../src/engine/state-machine/state-machine.ts';
import type {
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from '../../../src/engine/types.ts';
import {MemoryRecords} from '../../simulator/memory-records.ts';

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
export const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');

export const NO_RANGE_OPTIONS = {
  limit: 0,
  revision: 0,
  sortOrder: 0,
  sortTarget: 0,
  serializable: false,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
};

export function rangeOf(key: string, rangeEnd = '', options: Partial<RangeRequest> = {}): RangeRequest {
  return {...NO_RANGE_OPTIONS, key: bytes(key), rangeEnd: bytes(rangeEnd), ...options};
}

export function putOf(key: string, value = '', options: Partial<PutRequest> = {}): PutRequest {
  const flags = {lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false};
  return {...flags, key: bytes(key), value: bytes(value), ...options};
}

export function deleteOf(key: string, rangeEnd = '', prevKv = false): DeleteRangeRequest {
  return {key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv};
}

/** A key-value as plain text fields, to compare with. */
export function plain(kv: KeyValue | undefined) {
  if (kv === undefined) return undefined;
  const {createRevision, modRevision, version, lease} = kv;
  return {key: text(kv.key), value: text(kv.value), createRevision, modRevision, version, lease};
}

export class Machine {
  readonly records: MemoryRecords;
  readonly stateMachine: StateMachine;
  term = 1;

  constructor(records = new MemoryRecords(), options: {pendingDeleteKeysMin?: number} = {}) {
    this.records = records;
    this.stateMachine = new StateMachine({records, logger: silentLogger, ...options});
    run(this.stateMachine.load());
  }

  get mvcc() {
    return this.stateMachine.mvcc;
  }

  /** Applies a command as it comes out of the log. */
  apply(command: Command): ApplyResult {
    const applied = this.start(command);
    return 'next' in applied ? run(applied) : applied;
  }

  /** The same, but a long command is left after its first slice. */
  start(command: Command): ApplyResult | Generator<undefined, ApplyResult> {
    const proposal = decodeProposal(encodeProposal({proposer: 1n, requestId: 1, command}));
    const index = this.stateMachine.applied().index + 1;
    return this.stateMachine.apply({index, term: this.term, proposal});
  }

  /** The response of a kind that must have come. */
  response<Type extends CommandResponse['type']>(command: Command & {type: Type}) {
    const {response} = this.apply(command);
    if (response instanceof EngineError) throw response;
    return response as Extract<CommandResponse, {type: Type}>;
  }

  put(key: string, value = '', options: Partial<PutRequest> = {}) {
    return this.response({type: 'put', request: putOf(key, value, options)}).result;
  }

  delete(key: string, rangeEnd = '', prevKv = false) {
    return this.response({type: 'deleteRange', request: deleteOf(key, rangeEnd, prevKv)}).result;
  }

  txn(request: Partial<TxnRequest>) {
    return this.response({type: 'txn', request: {compare: [], success: [], failure: [], ...request}}).result;
  }

  compact(revision: number): void {
    this.response({type: 'compact', revision});
  }

  /** Deletes what the last compaction left to delete. */
  reclaim(): void {
    const slices = this.mvcc.compactionSlices();
    if (slices !== undefined) run(slices);
  }

  /** All leases, by ascending id. */
  leases(): LeaseRecord[] {
    const {lessor} = this.stateMachine;
    return run(lessor.idSlices()).flatMap((id) => lessor.lease(id) ?? []);
  }

  keysOfLease(id: bigint): string[] {
    return run(this.mvcc.keysOfLeaseSlices(id)).map(text);
  }

  hashKv(revision = 0) {
    return run(this.mvcc.hashKv(revision));
  }

  get(key: string, rangeEnd = '', options: Partial<RangeRequest> = {}) {
    return this.mvcc.range(rangeOf(key, rangeEnd, options)).kvs.map((kv) => plain(kv));
  }
}

export function run<Result>(slices: Generator<unknown, Result>): Result {
  for (;;) {
    const step = slices.next();
    if (step.done) return step.value;
  }
}

/** The code of the failure that `action` throws or answers with. */
export function failure(action: () => unknown): string {
  try {
    const result = action();
    return result instanceof EngineError ? result.code : 'none';
  } catch (error) {
    if (error instanceof EngineError) return error.code;
    throw error;
  }
}
