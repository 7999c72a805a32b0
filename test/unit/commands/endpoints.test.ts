/** Commands that ask several endpoints, here ones that take connections and say nothing. */

import {createServer, type Server} from 'node:net';
import {afterEach, describe, expect, it} from 'vitest';
import {describeError} from '../../../src/commands/_shared/describe-error.ts';
import {dispatch} from '../../../src/commands/_shared/dispatch.ts';
import {MemoryTerminal} from './memory-terminal.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** @returns the endpoint of a server that takes connections and says nothing */
async function silent(onConnection: () => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onConnection();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as {port: number};
  return `127.0.0.1:${address.port}`;
}

describe('endpoints', () => {
  it.each(['status', 'health', 'hashkv'])(
    'Ensure that endpoint %s asks all endpoints before one has failed, and tells failures in the given order.',
    async (name) => {
      const terminal = new MemoryTerminal();
      const asked = new Set<number>();
      let whenAllWereAsked: string | undefined;
      const endpoints: string[] = [];
      for (let at = 0; at < 3; at++) {
        const onConnection = () => {
          asked.add(at);
          if (asked.size === 3) whenAllWereAsked ??= terminal.errors;
        };
        endpoints.push(await silent(onConnection));
      }
      const words = ['endpoint', name, `--endpoints=${endpoints.join(',')}`, '--command-timeout=2s'];
      const ended = await dispatch(words, {environment: {}, terminal}).then(() => undefined, describeError);
      expect(ended?.exitCode).toBe(1);
      expect(whenAllWereAsked).toBe('');
      const lines = terminal.errors.trimEnd().split('\n');
      expect(lines.map((line) => /127\.0\.0\.1:\d+/.exec(line)?.[0])).toEqual(endpoints);
    },
  );
});
