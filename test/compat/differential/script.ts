/** The differential script as a whole, in the order in which it is run on one cluster from its first start. */

import {CLUSTER_STEPS} from './script-cluster.ts';
import {DEL_STEPS, GET_STEPS, PUT_STEPS} from './script-kv.ts';
import {CONCURRENCY_STEPS, LEASE_STEPS} from './script-lease.ts';
import {COMPACTION_STEPS, HASH_STEPS, MAINTENANCE_STEPS} from './script-maintenance.ts';
import {TXN_STEPS} from './script-txn.ts';
import {WATCH_STEPS} from './script-watch.ts';
import type {Step} from './step.ts';

const SECTIONS: readonly (readonly [name: string, steps: readonly Step[]])[] = [
  ['put', PUT_STEPS],
  ['get', GET_STEPS],
  ['txn', TXN_STEPS],
  ['watch', WATCH_STEPS],
  ['hash', HASH_STEPS],
  ['del', DEL_STEPS],
  ['compaction', COMPACTION_STEPS],
  ['lease', LEASE_STEPS],
  ['concurrency', CONCURRENCY_STEPS],
  ['cluster', CLUSTER_STEPS],
  ['maintenance', MAINTENANCE_STEPS],
];

export interface NamedStep extends Step {
  /** Unique: section and number, for test names and diffs. */
  readonly name: string;
}

/** The steps for a cluster of this many members. */
export function script(members: 1 | 3): NamedStep[] {
  return SECTIONS.flatMap(([section, steps]) =>
    steps
      .map((step, n) => ({...step, name: `${section} ${n + 1}`}))
      .filter((step) => step.members === undefined || step.members === members),
  );
}
