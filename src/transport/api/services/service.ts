/** What the services have in common. */

import type {Server} from '../../../engine/server/server.ts';
import type {LeaderGuard} from '../leader-guard.ts';

/** What the services call; a test may give something else than the engine's. */
export type ServerFace = Pick<Server, keyof Server>;

export interface ServiceContext {
  readonly server: ServerFace;
  /** Ends streams of callers that asked for a leader when there has been none for a while. */
  readonly leaderGuard: LeaderGuard;
  /** The longest list of a transaction (--max-txn-ops). */
  readonly txnOperationsMax: number;
  /** The largest response of a watch that asked for fragments, bytes (--max-request-bytes). */
  readonly watchFragmentBytes: number;
}
