/** What chaos makes of the answers to its renewals, from a server that answers as the test says. */

import {type handleBidiStreamingCall, type handleUnaryCall, Server, ServerCredentials} from '@grpc/grpc-js';
import {expect, it} from 'vitest';
import {LeaseBook} from '../../simulator/lease-book.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {eventually} from '../eventually.ts';
import {type Message, servedMethodOf} from '../raw-grpc.ts';
import {ChaosLeases} from './chaos-leases.ts';

/** Loses every lease before its first renewal. `keepsKeys`: but not the keys. `asked`: how often it was for a key. */
async function losingServer({keepsKeys}: {keepsKeys: boolean}) {
  let asked = 0;
  const server = new Server();
  const unary = (name: string, answer: (request: Message) => Message): void => {
    const handle: handleUnaryCall<Message, Message> = ({request}, done) => done(null, answer(request));
    server.addService({call: servedMethodOf(`etcdserverpb.${name}`)}, {call: handle});
  };
  unary('Lease/LeaseGrant', ({ID, TTL}) => ({ID, TTL}));
  unary('KV/Put', () => ({}));
  unary('KV/Range', ({key}) => {
    asked++;
    return {kvs: keepsKeys ? [{key}] : []};
  });
  const renew: handleBidiStreamingCall<Message, Message> = (call) => {
    call.on('data', ({ID}: Message) => call.write({ID, TTL: 0}));
  };
  server.addService({call: servedMethodOf('etcdserverpb.Lease/LeaseKeepAlive')}, {call: renew});
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return {endpoint: `127.0.0.1:${port}`, asked: () => asked, [Symbol.dispose]: () => server.forceShutdown()};
}

it.each([
  {keepsKeys: false, said: []},
  {keepsKeys: true, said: ['leases: lease 1 lives but was denied']},
])(
  'Ensure that a lease that is denied counts as gone, not as renewed (keys kept: $keepsKeys).',
  async ({keepsKeys, said}) => {
    using server = await losingServer({keepsKeys});
    const violations: string[] = [];
    const nowMs = () => performance.now();
    const violate = (invariant: string, detail: string) => violations.push(`${invariant}: ${detail}`);
    const book = new LeaseBook({nowMs, leaderMs: nowMs, violate});
    const leases = new ChaosLeases({random: new SeededRandom(1), book, endpoints: [server.endpoint]});
    const running = leases.run();
    await eventually(() => server.asked() > 0 || violations.length > 0, {what: 'a look for the key'});
    leases.stop();
    await running;
    expect(violations.slice(0, 1)).toEqual(said);
    expect(server.asked()).toBeGreaterThan(0);
  },
);
