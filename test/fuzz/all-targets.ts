/** Every target there is. */

import type {FuzzTarget} from './fuzz-target.ts';
import {storageTargets} from './storage-targets.ts';
import {TEXT_TARGETS} from './text-targets.ts';
import {WIRE_TARGETS} from './wire-targets.ts';

/** But for the client port, which has to be stopped. */
export async function allTargets(): Promise<FuzzTarget[]> {
  return [...WIRE_TARGETS, ...(await storageTargets()), ...TEXT_TARGETS];
}
