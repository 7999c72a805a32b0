/** One member's link to another, as the member that dialled it sees it (simulated-endpoint.ts), and questions on it. */

import type {EngineError} from '../../src/engine/errors.ts';
import type {Peer} from '../../src/engine/ports.ts';
import type {MemberId} from '../../src/engine/types.ts';
import type {SimulatedEndpoint} from './simulated-endpoint.ts';

export interface Ask {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: EngineError) => void;
  readonly cancelTimer: () => void;
}

export class Link {
  readonly id: MemberId;
  urls: readonly string[];
  remote: SimulatedEndpoint | undefined;
  sinceMs: number | undefined;
  /** Counts the times it was opened: what belongs to an earlier time is void. */
  era = 0;
  failures = 0;
  silentTicks = 0;
  isDialling = false;
  cancelRetry: (() => void) | undefined;
  lastArrivalMs = 0;
  held: (() => void)[] = [];
  readonly asks = new Set<Ask>();
  isLossDue = false;
  /** Half open: the other end has forgotten it, and nobody told this one. What is sent on it is lost. */
  isDeaf = false;

  constructor(peer: Peer) {
    this.id = peer.id;
    this.urls = peer.urls;
  }
}
