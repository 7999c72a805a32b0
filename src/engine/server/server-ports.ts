/** The world as one member gets it: real parts in production, simulated ones in tests. */

import type {BackendOpener, Clock, Digest, Disk, Logger, Metrics, PeerNetwork, Random} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';

export interface ServerPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Rooted at the data dir. */
  readonly disk: Disk;
  readonly backendOpener: BackendOpener;
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly sha1: () => Digest;
  readonly sha256: () => Digest;
}
