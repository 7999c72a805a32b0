/** What one process's end of the simulated network is told of its process. */

import type {Clock, Random} from '../../src/engine/ports.ts';
import type {MemberId} from '../../src/engine/types.ts';
import type {PeerIdentity} from '../../src/transport/peer/handshake.ts';

/** The part of a clock that tells a process that something has come for it. */
export interface ProcessClock extends Clock {
  enter(action: () => void): void;
  readonly isAlive: boolean;
}

export interface EndpointOptions {
  /** One name per machine: partitions are between hosts. */
  readonly host: string;
  readonly urls: readonly string[];
  readonly identity: () => PeerIdentity;
  readonly isRemoved: (id: MemberId) => boolean;
  readonly clock: ProcessClock;
  readonly random: Random;
  readonly electionTimeoutMs: number;
  /** A peer says that this member was removed from the cluster. */
  readonly refusedAsRemoved?: (() => void) | undefined;
  /** A handler failed by an assertion, which ends a real process. */
  readonly onAssertion?: ((error: unknown) => void) | undefined;
}
