/** What the services have in common. */

import type {Server} from '../../../engine/server/server.ts';
import type {StreamGuard} from '../stream-guard.ts';

/** What the services call; a test may give something else than the engine's. */
export type ServerFace = Pick<Server, keyof Server>;

export interface ServiceContext {
  readonly server: ServerFace;
  /** Ends streams when the server stops, or when the leader that their caller asked for is lost. */
  readonly streamGuard: StreamGuard;
  /** The longest list of a transaction (--max-txn-ops). */
  readonly txnOperationsMax: number;
  /** The largest response of a watch that asked for fragments, bytes (--max-request-bytes). */
  readonly watchFragmentBytes: number;
}
