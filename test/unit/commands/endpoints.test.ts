/** Commands whose endpoints do not answer: what is asked when, and what is said of it. */

import {createServer, type Server, type Socket} from 'node:net';
import {afterEach, describe, expect, it} from 'vitest';
import {describeError} from '../../../src/commands/_shared/describe-error.ts';
import {dispatch} from '../../../src/commands/_shared/dispatch.ts';
import {dialReason} from '../../../src/transport/http2/dial-error.ts';
import {MemoryTerminal} from './memory-terminal.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** @returns the endpoint of a server that takes connections and says nothing */
function silent(onConnection: () => void = () => {}): Promise<string> {
  return listening(onConnection);
}

async function listening(onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
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

  it('Ensure that a time-out says of each endpoint why it gave no answer.', async () => {
    const refusing = await silent();
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const hanging = await silent();
    const closing = await listening((socket) => socket.end());
    const plain = `https://${await listening((socket) => socket.destroy())}`;
    const missing = 'unix:///does/not/exist.sock';
    const reasonOf = async (endpoint: string) => {
      const words = ['get', 'a', `--endpoints=${endpoint}`, '--command-timeout=500ms'];
      const ended = dispatch(words, {environment: {}, terminal: new MemoryTerminal()});
      return ended.then(() => undefined, describeError);
    };
    const error = (reason: string) => ({line: `context deadline exceeded: ${reason}`, exitCode: 1});
    expect(await reasonOf(refusing)).toEqual(error(`${refusing}: connection refused`));
    expect(await reasonOf(missing)).toEqual(error(`${missing}: no such socket`));
    expect(await reasonOf(hanging)).toEqual(error(`${hanging}: no answer in time`));
    expect(await reasonOf(closing)).toEqual(
      error(
        `${closing}: error reading from server: EOF before a word of HTTP/2; does the endpoint want TLS (https://)?`,
      ),
    );
    expect((await reasonOf(plain))?.line).toMatch(/TLS handshake; does the endpoint speak TLS\?$/);
    expect(await reasonOf(`${refusing},${missing}`)).toEqual(
      error(`${refusing}: connection refused; ${missing}: no such socket`),
    );
  });

  it.each([
    [Object.assign(new Error('x'), {code: 'ENOTFOUND'}), 'no such host'],
    [Object.assign(new Error('read ECONNRESET'), {code: 'ECONNRESET'}), 'connection reset by peer'],
    [new AggregateError([Object.assign(new Error(''), {code: 'ECONNREFUSED'})], ''), 'connection refused'],
    [
      Object.assign(new Error('x'), {code: 'DEPTH_ZERO_SELF_SIGNED_CERT'}),
      'TLS: self-signed certificate; name it in --cacert',
    ],
    [
      Object.assign(new Error('C0:error:0A00:SSL'), {code: 'ERR_SSL_TLSV1_ALERT', reason: 'bad cert'}),
      'TLS: bad cert',
    ],
    [Object.assign(new Error('no answer in 5 ms'), {}), 'no answer in 5 ms'],
  ])('Ensure that a failure to connect is told in words: %s.', (error, reason) => {
    expect(dialReason(error)).toBe(reason);
  });
});
