/** Random commands over a few keys and leases, so that they meet each other. */

import fc from 'fast-check';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import type {Compare, RangeRequest, RequestOp, TxnRequest} from '../../../src/engine/types.ts';
import {bytes} from './machine.ts';

const key = fc.constantFrom('a', 'b', 'ba', 'c', 'd', '\xff').map(bytes);
const rangeEnd = fc.constantFrom('', '', 'b', 'c', '\0').map(bytes);
const value = fc.constantFrom('', '1', '22', 'x\0').map(bytes);
const leaseId = fc.constantFrom(1n, -7n, 9n, 2n ** 63n - 1n);
const lease = fc.oneof({weight: 3, arbitrary: fc.constant(0n)}, leaseId);
const revision = fc.constantFrom(0, 0, 0, 1, 2, 5, 10, -1, 2 ** 63);

const put = fc.record({
  key,
  value,
  lease,
  prevKv: fc.boolean(),
  ignoreValue: fc.oneof({weight: 5, arbitrary: fc.constant(false)}, fc.boolean()),
  ignoreLease: fc.oneof({weight: 5, arbitrary: fc.constant(false)}, fc.boolean()),
});
const deleteRange = fc.record({key, rangeEnd, prevKv: fc.boolean()});
const range: fc.Arbitrary<RangeRequest> = fc.record({
  key,
  rangeEnd,
  limit: fc.nat({max: 3}),
  revision,
  sortOrder: fc.nat({max: 2}),
  sortTarget: fc.nat({max: 4}),
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: fc.nat({max: 3}),
  maxModRevision: fc.nat({max: 9}),
  minCreateRevision: fc.nat({max: 3}),
  maxCreateRevision: fc.nat({max: 9}),
});
const compare: fc.Arbitrary<Compare> = fc.record({
  key,
  rangeEnd,
  result: fc.nat({max: 4}),
  target: fc.nat({max: 5}),
  version: fc.option(fc.nat({max: 3}), {nil: undefined}),
  createRevision: fc.option(revision, {nil: undefined}),
  modRevision: fc.option(revision, {nil: undefined}),
  value: fc.option(value, {nil: undefined}),
  lease: fc.option(leaseId, {nil: undefined}),
});

const {txn} = fc.letrec<{txn: TxnRequest; operation: RequestOp}>((tie) => ({
  txn: fc.record({
    compare: fc.array(compare, {maxLength: 2}),
    success: fc.array(tie('operation'), {maxLength: 4}),
    failure: fc.array(tie('operation'), {maxLength: 4}),
  }),
  operation: fc.oneof(
    {depthSize: 'small', withCrossShrink: true},
    put.map((requestPut) => ({requestPut})),
    deleteRange.map((requestDeleteRange) => ({requestDeleteRange})),
    range.map((requestRange) => ({requestRange})),
    tie('txn').map((requestTxn) => ({requestTxn})),
  ),
}));

const memberId = fc.constantFrom(1n, 2n, 2n ** 64n - 1n);

export const command: fc.Arbitrary<Command> = fc.oneof(
  {weight: 6, arbitrary: fc.record({type: fc.constant('put' as const), request: put})},
  {weight: 2, arbitrary: fc.record({type: fc.constant('deleteRange' as const), request: deleteRange})},
  {weight: 4, arbitrary: fc.record({type: fc.constant('txn' as const), request: txn})},
  fc.record({
    type: fc.constant('compact' as const),
    revision: fc.constantFrom(-1, 0, 1, 3, 5, 8, 13, 2 ** 60),
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('leaseGrant' as const),
      id: leaseId,
      ttlSeconds: fc.constantFrom(-1, 0, 5, 9e9, 9e10),
    }),
  },
  fc.record({type: fc.constant('leaseRevoke' as const), id: leaseId, proposerTerm: fc.constantFrom(0, 1, 2)}),
  fc.record({
    type: fc.constant('leaseCheckpoint' as const),
    proposerTerm: fc.constantFrom(0, 1, 2),
    leases: fc.array(fc.record({id: leaseId, remainingTtlSeconds: fc.constantFrom(0, 3, 99)}), {
      maxLength: 3,
    }),
  }),
  fc.record({
    type: fc.constant('alarm' as const),
    action: fc.constantFrom('activate' as const, 'deactivate' as const, 'deactivate' as const),
    memberId,
    alarm: fc.constantFrom(0, 1, 2),
  }),
  fc.record({
    type: fc.constant('memberAttributes' as const),
    memberId,
    name: fc.string(),
    clientURLs: fc.array(fc.webUrl(), {maxLength: 2}),
  }),
  fc.record({type: fc.constant('clusterVersion' as const), version: fc.constantFrom('3.6.0', '3.7.0')}),
);
