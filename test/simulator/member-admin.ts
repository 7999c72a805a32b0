/**
 * The operator: takes members out of the cluster, wipes their machines, and adds them again, as learner or voter,
 * while everything else goes on. Never touches a machine's disk before the cluster has let go of the member.
 */

import type {ServerConfig} from '../../src/engine/server/server-config.ts';
import type {Member} from '../../src/engine/types.ts';
import {callMember, type Outcome} from './client-call.ts';
import type {SeededRandom} from './seeded-random.ts';
import type {SimulatedMember} from './simulated-member.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import type {Trace} from './trace.ts';

export interface MemberAdminOptions {
  readonly network: SimulatedNetwork;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly members: readonly SimulatedMember[];
  readonly onAssertion: (error: unknown) => void;
  readonly configFor: (name: string, cluster: ReadonlyMap<string, readonly string[]>) => ServerConfig;
}

export class MemberAdmin {
  readonly #options: MemberAdminOptions;
  /** Machines that are to stay down for the moment. */
  readonly #held = new Set<SimulatedMember>();
  readonly #outside = new Set<SimulatedMember>();
  #isStopped = false;
  #isHurried = false;
  #running: Promise<void> | undefined;
  /** It looks after everybody once more, at the end. */
  #isFinishing = false;
  /** Those that are on their way out and in again already. */
  readonly #repairing = new Set<SimulatedMember>();
  /** What it has to do, the present task included. */
  #tasks = 0;
  #last: Promise<void> = Promise.resolve();
  changes = 0;

  constructor(options: MemberAdminOptions) {
    this.#options = options;
  }

  isHeld(member: SimulatedMember): boolean {
    return this.#held.has(member);
  }

  get isIdle(): boolean {
    return this.#tasks === 0 && !this.#isFinishing;
  }

  isOutside(member: SimulatedMember): boolean {
    return this.#outside.has(member);
  }

  run(): Promise<void> {
    this.#running = this.#run().catch((error: unknown) => this.#options.onAssertion(error));
    return this.#running;
  }

  hurry(): void {
    this.#isHurried = true;
    this.#isFinishing = this.#running !== undefined;
  }

  /** A member cannot start on what it has: it leaves the cluster and joins anew. Resolves when it has. */
  async repair(machine: SimulatedMember): Promise<void> {
    const {trace, onAssertion} = this.#options;
    trace.note(`admin repairs ${machine.name}`);
    this.#held.add(machine);
    this.#repairing.add(machine);
    this.#tasks++;
    // At once: as long as it is in the list and down, the strict check lets nobody else in.
    await this.#remove(machine, Number.POSITIVE_INFINITY).catch((error: unknown) => onAssertion(error));
    machine.isDamaged = false;
    await this.#inTurn(() => this.#rejoin(machine));
    this.#repairing.delete(machine);
    this.#tasks--;
  }

  /** Finishes what is begun. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const {network, random, members} = this.#options;
    while (!this.#isStopped) {
      await network.queue.sleep(500 + random.below(6_000));
      if (this.#isStopped) break;
      // Whoever is damaged may have to leave: with another one on its way out too few may be left.
      if (members.some(({isDamaged}) => isDamaged)) continue;
      await this.#inTurn(() => this.#replace(members[random.below(members.length)]));
    }
    await this.#inTurn(async () => {
      for (const machine of members) await this.#settleFate(machine);
    });
    this.#isFinishing = false;
  }

  /** One task after the other. */
  #inTurn(task: () => Promise<void>): Promise<void> {
    this.#tasks++;
    this.#last = this.#last
      .then(task)
      .catch((error: unknown) => this.#options.onAssertion(error))
      .then(() => {
        this.#tasks--;
      });
    return this.#last;
  }

  async #replace(machine: SimulatedMember): Promise<void> {
    const {random, trace} = this.#options;
    trace.note(`admin replaces ${machine.name}`);
    // Of two members the other one cannot let go of it alone.
    if (random.below(2) === 0 && this.#options.members.length > 2) {
      this.#held.add(machine);
      if (machine.isUp) machine.kill({landed: false});
    }
    if (!(await this.#remove(machine, 20))) {
      // The cluster did not let go of it: it goes on as it was. It may still be removed by what is under way.
      this.#held.delete(machine);
      trace.note(`admin gives up removing ${machine.name}`);
      await this.#settleFate(machine);
      return;
    }
    await this.#rejoin(machine);
  }

  /** @returns false when the cluster did not let go of it after so many attempts */
  #remove(machine: SimulatedMember, attempts: number): Promise<boolean> {
    return this.#untilList(
      (list) => !list.some(({peerURLs}) => peerURLs.includes(machine.url)),
      async (list) => {
        const member = list.find(({peerURLs}) => peerURLs.includes(machine.url));
        if (member !== undefined) await this.#call((server) => server.memberRemove(member.id), machine);
      },
      machine,
      attempts,
    );
  }

  /** A wish whose outcome is unknown may come true later: the machine then has to join anew. */
  async #settleFate(machine: SimulatedMember): Promise<void> {
    if (!this.#isHurried) await this.#options.network.queue.sleep(15_000);
    let list: readonly Member[] | undefined;
    while (list === undefined) {
      list = await this.#list(machine);
      await this.#options.network.queue.sleep(100);
    }
    const isListed = list.some(({peerURLs}) => peerURLs.includes(machine.url));
    if (!isListed && !this.#repairing.has(machine)) await this.#rejoin(machine);
  }

  async #rejoin(machine: SimulatedMember): Promise<void> {
    const {random, trace, configFor} = this.#options;
    trace.note(`admin has removed ${machine.name}`);
    this.changes++;
    this.#outside.add(machine);
    this.#held.add(machine);
    if (machine.isUp) machine.kill({landed: false});
    machine.wipe();
    const isLearner = random.below(2) === 0;
    let list: readonly Member[] = [];
    await this.#untilList(
      (now) => {
        list = now;
        return now.some(({peerURLs}) => peerURLs.includes(machine.url));
      },
      async () => {
        await this.#call((server) => server.memberAdd({peerURLs: [machine.url], isLearner}), machine);
      },
      machine,
      Number.POSITIVE_INFINITY,
    );
    this.changes++;
    const nameOf = (member: Member) =>
      member.peerURLs.includes(machine.url) ? machine.name : member.name || 'unnamed';
    machine.config = configFor(
      machine.name,
      new Map(list.map((member) => [nameOf(member), member.peerURLs])),
    );
    trace.note(`admin has added ${machine.name} as ${isLearner ? 'learner' : 'voter'}`);
    this.#held.delete(machine);
    this.#outside.delete(machine);
    if (!isLearner) return;
    await this.#untilList(
      (now) => now.every((member) => !member.peerURLs.includes(machine.url) || !member.isLearner),
      async (now) => {
        const member = now.find(({peerURLs}) => peerURLs.includes(machine.url));
        if (member !== undefined) await this.#call((server) => server.memberPromote(member.id), machine);
      },
      machine,
      Number.POSITIVE_INFINITY,
    );
    this.changes++;
    trace.note(`admin has promoted ${machine.name}`);
  }

  /** Acts until the cluster's list is as wished. @returns false when it is not after so many attempts */
  async #untilList(
    isDone: (list: readonly Member[]) => boolean,
    act: (list: readonly Member[]) => Promise<void>,
    machine: SimulatedMember,
    attempts: number,
  ): Promise<boolean> {
    const {network, random} = this.#options;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const list = await this.#list(machine);
      if (list !== undefined) {
        if (isDone(list)) return true;
        await act(list);
      }
      await network.queue.sleep(this.#isHurried ? 100 : 100 + random.below(1_000));
    }
    return false;
  }

  async #list(machine: SimulatedMember): Promise<readonly Member[] | undefined> {
    // The only other member may have no quorum before this one has joined; what it has said before it knows itself.
    const linearizable = this.#options.members.length > 2 || !this.#outside.has(machine);
    const outcome = await this.#call((server) => server.members({linearizable}), machine);
    return outcome.kind === 'answer' ? outcome.result.result : undefined;
  }

  #call<Result>(
    act: Parameters<typeof callMember<Result>>[1],
    except: SimulatedMember,
  ): Promise<Outcome<Result>> {
    const {network, random, members, onAssertion} = this.#options;
    const others = members.filter((member) => member !== except);
    const member = others[random.below(others.length)];
    return callMember({from: 'admin', network, member, timeoutMs: 8_000, onAssertion}, act);
  }
}
