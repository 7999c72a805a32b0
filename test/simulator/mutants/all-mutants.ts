/** Every mutant, in the order of the table. */

import {LEASE_MUTANTS} from './lease-mutants.ts';
import {MEMBERSHIP_MUTANTS} from './membership-mutants.ts';
import type {Mutant} from './mutant.ts';
import {RAFT_MUTANTS} from './raft-mutants.ts';
import {STATE_MUTANTS} from './state-mutants.ts';
import {STORAGE_MUTANTS} from './storage-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...RAFT_MUTANTS,
  ...STORAGE_MUTANTS,
  ...STATE_MUTANTS,
  ...LEASE_MUTANTS,
  ...MEMBERSHIP_MUTANTS,
];
