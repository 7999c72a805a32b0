/** The differential script by raw gRPC as a whole, in the order in which it is run on one cluster. */

import {COMPACT_STEPS, DELETE_STEPS, PUT_STEPS, RANGE_STEPS, TXN_STEPS} from './grpc-script-kv.ts';
import {
  CLUSTER_STEPS,
  COMPACTED_HASH_STEPS,
  HASH_STEPS,
  LEASE_STEPS,
  MAINTENANCE_STEPS,
} from './grpc-script-lease.ts';
import {WATCH_STEPS} from './grpc-script-watch.ts';
import type {GrpcStep} from './grpc-step.ts';

const STEPS: readonly GrpcStep[] = [
  ...RANGE_STEPS,
  ...PUT_STEPS,
  ...HASH_STEPS,
  ...DELETE_STEPS,
  ...TXN_STEPS,
  ...COMPACT_STEPS,
  ...COMPACTED_HASH_STEPS,
  ...WATCH_STEPS,
  ...LEASE_STEPS,
  ...CLUSTER_STEPS,
  ...MAINTENANCE_STEPS,
];

/** The steps for a cluster of this many members. */
export function grpcScript(members: 1 | 3): readonly (GrpcStep & {readonly number: number})[] {
  return STEPS.map((step, n) => ({...step, number: n + 1})).filter(
    (step) => step.members === undefined || step.members === members,
  );
}
