/** What came of a log entry: the answer for its proposer, and what others have to hear of it. */

import type {EngineError} from '../errors.ts';
import type {Alarm, DeleteRangeResult, Event, LeaseId, Member, PutResult, TxnResult} from '../types.ts';
import type {LeaseChange} from './lease/lessor.ts';
import type {TextRange} from './mvcc/text-range.ts';

export type CommandResponse =
  /** An entry without a command. */
  | {readonly type: 'none'}
  | {readonly type: 'put'; readonly result: PutResult}
  | {readonly type: 'deleteRange'; readonly result: DeleteRangeResult}
  | {readonly type: 'txn'; readonly result: TxnResult}
  | {readonly type: 'compact'}
  | {readonly type: 'leaseGrant'; readonly id: LeaseId; readonly ttlSeconds: number}
  /** `isStale`: proposed under another term than it was logged in; nothing happened. */
  | {readonly type: 'leaseRevoke'; readonly isStale: boolean}
  | {readonly type: 'leaseCheckpoint'; readonly isStale: boolean}
  /** The alarm that was set, or that was lifted; none when there was nothing to lift. */
  | {readonly type: 'alarm'; readonly alarms: readonly Alarm[]}
  | {readonly type: 'memberAttributes'}
  | {readonly type: 'clusterVersion'}
  /** All members after the change. */
  | {readonly type: 'membership'; readonly members: readonly Member[]};

export interface ApplyResult {
  /** An EngineError is the command's refusal: it had no effect, on any member. */
  readonly response: CommandResponse | EngineError;
  /** The current revision after the entry. */
  readonly revision: number;
  /** In the order of their sub-revisions; all of `revision`. */
  readonly events: readonly Event[];
  /** A deletion of so many keys that its events are told by the history alone, once its tombstones are written. */
  readonly deletedRange?: TextRange | undefined;
  readonly leaseChanges: readonly LeaseChange[];
}
