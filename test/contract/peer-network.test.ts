/** The PeerNetwork contract, over sockets. */

import {peerNetworkSuite} from './peer-network.contract.ts';
import {SocketWorld} from './socket-world.ts';

peerNetworkSuite('WebSocket', async () => new SocketWorld());
