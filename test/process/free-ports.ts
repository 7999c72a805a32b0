/** Ports that nobody listens on, for real processes under test. */

import {type AddressInfo, createServer} from 'node:net';

/**
 * Ports that were free a moment ago, all different. The system hands out each ephemeral port once round before it
 * repeats one, so the gap until the process under test binds it is harmless in practice.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({length: count}, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
