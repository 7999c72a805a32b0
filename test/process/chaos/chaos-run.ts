/** One run: a cluster, clients, watchers, leases and faults; then peace, and everything is checked. */

import {LeaseBook} from '../../simulator/lease-book.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {membersAgree} from '../agreement.ts';
import {EtcdCalls} from '../etcd-calls.ts';
import {eventually} from '../eventually.ts';
import {type Message, RawGrpc} from '../raw-grpc.ts';
import {CHAOS_KEYS, ChaosClient} from './chaos-client.ts';
import {ChaosCluster} from './chaos-cluster.ts';
import type {FaultKind} from './chaos-fault.ts';
import {ChaosFaults, type FaultCount} from './chaos-faults.ts';
import {ChaosHistory, type TruthEvent, truthEventOf} from './chaos-history.ts';
import {ChaosLeases, LEASE_PREFIX} from './chaos-leases.ts';
import {ChaosWatcher} from './chaos-watcher.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly members: number;
  /** How long clients and faults go on, milliseconds; longer, until each kind of fault was felt ... */
  readonly lastsMs: number;
  /** ... and so many operations were answered. */
  readonly answeredMin?: number;
  /** Called each second while clients ask: how many operations were answered. */
  readonly onSecond?: (answered: number) => void;
}

export interface ChaosReport {
  readonly violations: readonly string[];
  /** How long clients asked. */
  readonly seconds: number;
  /** Operations by what became of them: answered, perhaps happened, never sent. */
  readonly answered: number;
  readonly unknown: number;
  readonly unsent: number;
  /** Kinds that this machine does not allow are missing. */
  readonly faults: ReadonlyMap<FaultKind, FaultCount>;
  readonly revision: number;
  readonly watchEvents: number;
  /** Watches that brought nothing at all: nothing was shown of them. */
  readonly emptyWatches: number;
  readonly resumed: number;
  readonly leases: number;
  readonly expired: number;
  readonly undecidedParts: number;
  /** What the checks took in the end. */
  readonly checkSeconds: number;
}

const CLIENTS = 64;
/** So many of them by a client that knows nothing of kvd. */
const FOREIGN_CLIENTS = 4;
const WATCHERS = 6;
const LEASE_CLIENTS = 6;
/** A lease's TTL, two elections, and what a busy machine takes. */
const LEASES_GONE_MS = 20_000;
const HEALED_MS = 60_000;
/** A busy machine takes its time. */
const ENOUGH_MS = 120_000;

export async function runChaos({
  seed,
  members: size,
  lastsMs,
  answeredMin = 0,
  onSecond = () => undefined,
}: ChaosOptions): Promise<ChaosReport> {
  const cluster = await ChaosCluster.start(size);
  // A stack is noted of every call that fails: most of what that costs.
  const {stackTraceLimit} = Error;
  Error.stackTraceLimit = 0;
  try {
    return await new Run(cluster, seed).run(lastsMs, {answeredMin, onSecond});
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    await cluster.destroy();
  }
}

class Run {
  readonly #cluster: ChaosCluster;
  readonly #history = new ChaosHistory(CHAOS_KEYS);
  readonly #violations: string[] = [];
  readonly #book: LeaseBook;
  readonly #clients: readonly ChaosClient[];
  readonly #leases: readonly ChaosLeases[];
  readonly #watchers: readonly ChaosWatcher[];
  readonly #faults: ChaosFaults;

  constructor(cluster: ChaosCluster, seed: number) {
    this.#cluster = cluster;
    const {endpoints} = cluster;
    const randomOf = (n: number) => new SeededRandom(seed * 1_000 + n);
    const times = <Made>(count: number, make: (n: number) => Made) =>
      Array.from({length: count}, (_, n) => make(n));
    const violate = (invariant: string, detail: string) => this.#violations.push(`${invariant}: ${detail}`);
    // Whoever leads, it is this machine's clock: jumps are of the time of day.
    const nowMs = () => performance.now();
    this.#book = new LeaseBook({nowMs, leaderMs: nowMs, violate});
    this.#clients = times(CLIENTS, (n) => {
      const options = {name: `c${n}`, random: randomOf(n), history: this.#history, endpoints};
      return new ChaosClient({...options, isForeign: n < FOREIGN_CLIENTS});
    });
    this.#leases = times(
      LEASE_CLIENTS,
      (n) => new ChaosLeases({random: randomOf(500 + n), book: this.#book, endpoints}),
    );
    this.#watchers = times(WATCHERS, (n) => {
      const [from, to] = watchedRange(n);
      const onEvent = n === 0 ? (event: TruthEvent) => this.#leaseEvent(event) : undefined;
      const base = {name: `watch ${from}`, from, to, random: randomOf(600 + n), endpoints};
      return new ChaosWatcher({...base, ...(onEvent && {onEvent})});
    });
    this.#faults = new ChaosFaults(cluster, randomOf(700));
  }

  async run(
    lastsMs: number,
    {answeredMin, onSecond}: Required<Pick<ChaosOptions, 'answeredMin' | 'onSecond'>>,
  ): Promise<ChaosReport> {
    const actors = [...this.#clients, ...this.#leases];
    const startedMs = performance.now();
    const running = actors.map((actor) => actor.run());
    const faults = this.#faults.run();
    const turns = [
      setInterval(() => this.#watchers[1].reconnect(), 5_000),
      setInterval(() => onSecond(this.#history.answered), 1_000),
    ];
    try {
      await new Promise((resolve) => setTimeout(resolve, lastsMs));
      const isEnough = () => this.#history.answered >= answeredMin;
      await eventually(isEnough, {timeoutMs: ENOUGH_MS, what: `${answeredMin} answers`});
      this.#faults.stop();
      await faults;
    } finally {
      for (const turn of turns) clearInterval(turn);
    }
    for (const actor of actors) actor.stop();
    await Promise.all(running);
    const seconds = (performance.now() - startedMs) / 1_000;
    await this.#heal();
    const truth = await this.#truth();
    for (const watcher of this.#watchers) await watcher.finish(truth);
    const checkedMs = performance.now();
    this.#history.check(truth);
    const {answered, unknown, unsent, undecidedParts} = this.#history;
    return {
      violations: [
        ...this.#violations,
        ...this.#cluster.members.flatMap(({ends}) => ends),
        ...this.#history.violations,
        ...this.#watchers.flatMap(({violations}) => violations),
      ],
      seconds,
      answered,
      unknown,
      unsent,
      undecidedParts,
      checkSeconds: (performance.now() - checkedMs) / 1_000,
      faults: this.#faults.counts,
      revision: truth.at(-1)?.revision ?? 1,
      watchEvents: this.#watchers.reduce((sum, {events}) => sum + events.length, 0),
      emptyWatches: this.#watchers.filter(({events}) => events.length === 0).length,
      resumed: this.#watchers.reduce((sum, {resumed}) => sum + resumed, 0),
      leases: this.#leases.reduce((sum, {granted}) => sum + granted, 0),
      expired: this.#book.expired,
    };
  }

  /** All members serve and agree, and every lease that nobody renews is gone. */
  async #heal(): Promise<void> {
    const {members} = this.#cluster;
    for (const member of members) if (!member.isRunning) member.spawn();
    await Promise.all(members.map((member) => member.ready(HEALED_MS)));
    using calls = new EtcdCalls(members[0].endpoint);
    const areGone = async () => (await calls.prefix(LEASE_PREFIX)).size === 0;
    await eventually(areGone, {timeoutMs: LEASES_GONE_MS, what: 'the end of all leases'}).catch(
      (error: Error) => this.#violations.push(`leases: ${error.message}`),
    );
    await membersAgree(members);
  }

  /** Everything that happened, in order, from a member that agrees with all others. */
  async #truth(): Promise<TruthEvent[]> {
    const [{endpoint}] = this.#cluster.members;
    using calls = new EtcdCalls(endpoint);
    const revision = await calls.revision();
    using client = new RawGrpc(endpoint);
    const call = client.bidi('etcdserverpb.Watch/Watch');
    const events: TruthEvent[] = [];
    call.on('error', () => {});
    call.on('data', (response: Message) => {
      for (const event of response.events) events.push(truthEventOf(event));
    });
    const everything = {key: Buffer.from('\0'), range_end: Buffer.from('\0'), start_revision: 1};
    call.write({create_request: everything});
    const isWhole = () => (events.at(-1)?.revision ?? 1) >= revision;
    await eventually(isWhole, {timeoutMs: HEALED_MS, what: 'everything that happened'});
    call.cancel();
    return events;
  }

  #leaseEvent({key, kv}: TruthEvent): void {
    if (kv === undefined) this.#book.gone(BigInt(key.slice(LEASE_PREFIX.length)), {isExpired: true});
  }
}

/** The leases' keys, those of all clients, and those of a few groups each. */
function watchedRange(n: number): [from: string, to: string] {
  if (n === 0) return [LEASE_PREFIX, 'lease0'];
  if (n === 1) return ['k', 'l'];
  const bound = (place: number) => `k${String(place * 4).padStart(2, '0')}`;
  return [bound(n - 2), bound(n - 1)];
}
