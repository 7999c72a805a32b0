/** Every target there is. */

import {COMMAND_TARGETS} from './command-targets.ts';
import {CONFIG_TARGETS} from './config-targets.ts';
import type {FuzzTarget} from './fuzz-target.ts';
import {HTTP2_TARGETS} from './http2-targets.ts';
import {LOG_ENTRY_TARGETS} from './log-entry-targets.ts';
import {PEER_TARGETS} from './peer-targets.ts';
import {PROTO_TARGET} from './proto-targets.ts';
import {snapshotTargets} from './snapshot-targets.ts';
import {storeTargets} from './store-targets.ts';
import {walTargets} from './wal-targets.ts';

/** But for the ports, which have to be stopped. */
export async function allTargets(): Promise<FuzzTarget[]> {
  return [
    ...(await walTargets()),
    ...LOG_ENTRY_TARGETS,
    ...(await storeTargets()),
    ...(await snapshotTargets()),
    ...PEER_TARGETS,
    PROTO_TARGET,
    ...HTTP2_TARGETS,
    ...CONFIG_TARGETS,
    ...COMMAND_TARGETS,
  ];
}
