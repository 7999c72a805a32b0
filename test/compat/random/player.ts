/**
 * Plays random operations on one cluster, as many at a time as their order permits, and keeps the answers. Two
 * players need not wait for each other: what they are told depends on nothing but the operations.
 */

import {once} from 'node:events';
import type {ClientDuplexStream} from '@grpc/grpc-js';
import {GrpcError, GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {eventually} from '../../process/eventually.ts';
import type {ProcessCluster} from '../../process/process-cluster.ts';
import {QuickGrpc} from '../../process/quick-grpc.ts';
import {type Message, RawGrpc} from '../../process/raw-grpc.ts';
import {type Answer, answerOf, refusalOf, shownBytes} from './answer.ts';
import type {Operation} from './random-operation.ts';
import {WatchBook} from './watch-book.ts';

const IN_FLIGHT_MAX = 64;
const CALL_TIMEOUT_MS = 30_000;
const EXPIRING_LEASE = 7_777;
/** No server answers an operation of its own accord so. */
const LOST: ReadonlySet<number> = new Set([GrpcStatus.unavailable, GrpcStatus.deadlineExceeded]);
/** What one member answers from where it is: the asked one, or the leader, which may have applied less than the asked one. */
const BY_ONE_MEMBER = new Set(['Watch/Watch', 'Lease/LeaseLeases', 'Lease/LeaseTimeToLive']);

export class Player {
  readonly #clients: readonly RawGrpc[];
  /** For the many. */
  readonly #quick: readonly QuickGrpc[];
  readonly #watches: WatchBook;
  readonly #keepAlive: ClientDuplexStream<Message, Message>;
  #revision = 1;
  #compactRevision = 0;
  /** Of each kind, how many are in flight. */
  readonly #inFlight = {free: 0, read: 0};
  #wake: () => void = () => {};
  #isLost = false;
  /** What the watches brought before a compaction: it would end those that are behind. */
  #brought: string[] = [];

  constructor(cluster: ProcessCluster) {
    this.#clients = cluster.members.map(({endpoint}) => new RawGrpc(endpoint));
    this.#quick = cluster.members.map(({endpoint}) => new QuickGrpc(endpoint));
    this.#watches = new WatchBook(this.#clients);
    this.#keepAlive = this.#clients[0].bidi('etcdserverpb.Lease/LeaseKeepAlive');
    this.#keepAlive.on('error', () => {});
  }

  /** Its server could not take an operation, or did not answer it: what comes after is not asked any more. */
  get isLost(): boolean {
    return this.#isLost;
  }

  async open(): Promise<void> {
    await this.#watches.open();
  }

  close(): void {
    this.#watches.close();
    this.#keepAlive.cancel();
    for (const client of [...this.#clients, ...this.#quick]) client[Symbol.dispose]();
  }

  /** @returns the answers, in the order of the operations; none behind the first that the server could not take */
  async play(operations: readonly Operation[]): Promise<Answer[]> {
    const answers: Answer[] = new Array(operations.length);
    const inFlight = this.#inFlight;
    for (const [place, operation] of operations.entries()) {
      const {mode} = operation;
      if (this.#isLost) break;
      if (mode === 'free' || mode === 'read') {
        await this.#until(() => inFlight.free + inFlight.read < IN_FLIGHT_MAX);
        inFlight[mode]++;
        void this.#call(operation).then((answer) => {
          answers[place] = answer;
          inFlight[mode]--;
          this.#wake();
        });
        continue;
      }
      await this.#until(() => inFlight.read === 0 && (mode === 'write' || inFlight.free === 0));
      answers[place] = await this.#call(operation);
    }
    await this.#until(() => inFlight.free + inFlight.read === 0);
    return answers;
  }

  /**
   * Nothing is in flight: what the watches brought since the last time, and the hash of the store at two revisions.
   * @returns lines that have to be the same on both servers
   */
  async checkpoint(number: number): Promise<string[]> {
    const lines = [...this.#brought.splice(0), ...(await this.#watches.collect(this.#revision))];
    this.#watches.forgetBelow(this.#compactRevision);
    const back = Math.min(number % 50, Math.max(0, this.#revision - this.#compactRevision - 1));
    for (const revision of new Set([this.#revision, this.#revision - back])) {
      for (const client of this.#clients) lines.push(await this.#hash(client, revision));
    }
    return lines;
  }

  /** Keys on a lease that nobody renews: they go at one revision. @returns what is left, as text */
  async expire(): Promise<string> {
    const [client] = this.#clients;
    await client.unary('etcdserverpb.Lease/LeaseGrant', {ID: EXPIRING_LEASE, TTL: 1});
    for (const key of ['a/0', 'b/3', 'c/7', '~'])
      await client.unary('etcdserverpb.KV/Put', {key: Buffer.from(key), lease: EXPIRING_LEASE});
    const ask = () => client.unary('etcdserverpb.Lease/LeaseTimeToLive', {ID: EXPIRING_LEASE});
    await eventually(async () => (await ask()).TTL === '-1', {what: 'the end of a lease'});
    const {header, kvs} = await client.unary('etcdserverpb.KV/Range', {
      key: Buffer.from('\0'),
      range_end: Buffer.from('\0'),
      keys_only: true,
    });
    this.#revision = Number(header.revision);
    return JSON.stringify({revision: this.#revision, kvs}, shownBytes);
  }

  async #hash(client: RawGrpc, revision: number): Promise<string> {
    const ask = () => client.unary('etcdserverpb.Maintenance/HashKV', {revision});
    // A member that is behind says that the revision is one to come.
    const {hash, compact_revision} = await eventually(ask, {what: `a hash at ${revision}`});
    return `hash ${hash} at ${revision}, compacted ${compact_revision}`;
  }

  async #call(operation: Operation): Promise<Answer> {
    const {number, method} = operation;
    const request = this.requestOf(operation);
    try {
      if (method === 'KV/Compact') this.#brought.push(...(await this.#watches.collect(this.#revision)));
      if (BY_ONE_MEMBER.has(method)) await this.#catchUp();
      if (method === 'Watch/Watch') {
        const told = await this.#watches.create(number, request, this.#compactRevision);
        return {revision: 0, body: Buffer.from(told)};
      }
      const bytes =
        method === 'Lease/LeaseKeepAlive'
          ? await this.#renew(request)
          : await this.#unary(operation, request);
      const answer = answerOf(bytes);
      if ('revision' in answer && answer.revision > this.#revision) this.#revision = answer.revision;
      if (method === 'KV/Compact') this.#compactRevision = request.revision;
      return answer;
    } catch (error) {
      this.#isLost ||= !(error instanceof GrpcError) || LOST.has(error.status);
      return refusalOf(error as Error);
    }
  }

  async #catchUp(): Promise<void> {
    if (this.#quick.length === 1) return;
    const request = {key: Buffer.from('x')};
    const options = {timeoutMs: CALL_TIMEOUT_MS};
    await Promise.all(
      this.#quick.map((client) => client.unaryBytes('etcdserverpb.KV/Range', request, options)),
    );
  }

  requestOf({request}: Operation): Message {
    const message = request(this.#revision);
    return this.#clients.length === 1 ? message : forCluster(message);
  }

  #unary({number, method}: Operation, request: Message): Promise<Buffer> {
    const client = this.#quick[number % this.#quick.length];
    return client.unaryBytes(`etcdserverpb.${method}`, request, {timeoutMs: CALL_TIMEOUT_MS});
  }

  async #renew(request: Message): Promise<Buffer> {
    this.#keepAlive.write(request);
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const [{ID, TTL}] = await once(this.#keepAlive, 'data', {signal});
    return Buffer.from(`${ID} ${TTL}`);
  }

  async #until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** With it, a transaction that asks for nothing waits for its member, too. */
const LINEARIZABLE = {request_range: {key: Buffer.from('x')}};

/**
 * A member that is behind answers a serializable read from its past. And etcd 3.4 leaves out a transaction's ranges on members whose
 * client did not ask: those carry out what the asked one refuses for a range's revision, and differ for good.
 */
function forCluster(request: Message): Message {
  const branch = (ops: readonly Message[] = []): Message[] =>
    ops.map(({request_range: range, request_txn: nested, ...op}) => ({
      ...op,
      ...(range && {request_range: {...range, revision: 0, serializable: false}}),
      ...(nested && {request_txn: forCluster(nested)}),
    }));
  const {success, failure} = request;
  if (success !== undefined || failure !== undefined)
    return {
      ...request,
      success: [...branch(success), LINEARIZABLE],
      failure: [...branch(failure), LINEARIZABLE],
    };
  return request.serializable === true ? {...request, serializable: false} : request;
}
