/**
 * One member without its loop: the real data dir, log writer, applier, store and snapshotter, driven step by step by
 * a workload, and a model of what the member has promised by now. Log states that a crash may leave are listed from
 * the acknowledged one on: what was begun since may have become durable or not.
 */

import {silentLogger} from '../../src/engine/io/logger.ts';
import {
  type Entry,
  EntryType,
  type HardState,
  type Message,
  type Ready,
} from '../../src/engine/raft/message.ts';
import type {Applier} from '../../src/engine/server/applier.ts';
import {foundCluster} from '../../src/engine/server/bootstrap.ts';
import {LogWriter} from '../../src/engine/server/log-writer.ts';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import {runSlices} from '../../src/engine/server/run-slices.ts';
import {type SnapshotMessage, Snapshotter} from '../../src/engine/server/snapshotter.ts';
import type {Command} from '../../src/engine/state-machine/command.ts';
import {encodeProposal} from '../../src/engine/state-machine/command-codec.ts';
import type {AppliedMark, Index, Term} from '../../src/engine/types.ts';
import {WalModel} from '../unit/storage/wal-fixture.ts';
import {
  applierOf,
  type Birth,
  configOf,
  type Machine,
  passingClock,
  portsOf,
  startMember,
} from './member-world.ts';
import type {Recorder} from './recording-disk.ts';

/** What the member owes the world at one moment. */
export interface Promised {
  readonly birth: Birth;
  /** The data dir is made: it does not begin anew. */
  readonly isMade: boolean;
  /** The acknowledged log, then what it would be with each change that is under way. */
  readonly logs: readonly WalModel[];
  /** Applied by now, so committed. */
  readonly committed: Index;
  /** What the store holds durably: the log may have been purged up to there. */
  readonly stored: Index;
  /** The running hash of the state after each entry that was applied. */
  readonly hashes: ReadonlyMap<Index, number>;
}

export class MemberRig {
  readonly #machine: Machine;
  readonly #recorder: Recorder;
  readonly birth: Birth;
  #opened: OpenedMember | undefined;
  #applier: Applier | undefined;
  #writer: LogWriter | undefined;
  #snapshotter: Snapshotter | undefined;
  #logs: WalModel[] = [new WalModel()];
  #isMade = false;
  #stored: Index = 0;
  readonly #hashes = new Map<Index, number>([[0, 0]]);
  #committed: Index = 0;
  #isStopping = false;
  #tickets = 0;
  readonly #waiting = new Map<number, {model: WalModel; resolve: () => void}>();
  #ended: (error: unknown) => void = () => undefined;
  /** Rejects when a part fails: the process is to end. */
  #end = new Promise<never>(() => undefined);

  constructor(machine: Machine, recorder: Recorder, birth: Birth) {
    this.#machine = machine;
    this.#recorder = recorder;
    this.birth = birth;
    this.#promise();
  }

  /** The log as it will be when all is written. */
  get log(): WalModel {
    return this.#logs[this.#logs.length - 1];
  }

  get applied(): Index {
    return this.#committed;
  }

  async start(): Promise<void> {
    this.#isStopping = false;
    this.#end = new Promise((_resolve, reject) => {
      this.#ended = reject;
    });
    this.#end.catch(() => undefined);
    const failed = (error: unknown) => this.#ended(error);
    if (!this.#isMade && this.birth.state === 'new') await this.#expectFounding();
    const {opened} = await startMember(this.#machine, this.birth, failed);
    this.#opened = opened;
    this.#isMade = true;
    this.#logs = [this.log];
    this.#promise();
    this.#writer = new LogWriter({
      wal: opened.wal,
      clock: passingClock,
      logger: silentLogger,
      commit: opened.raft.status().commit,
      onStored: (_entries, messages) => this.#acknowledge(messages),
      onFailure: failed,
    });
    this.#applier = this.#makeApplier(opened, failed);
    this.#snapshotter = this.#makeSnapshotter(opened);
    // A store that could not commit all of it is behind.
    this.apply(this.#committed);
  }

  /** A founder's log begins with entries that add the founders; they are taken from what it writes. */
  async #expectFounding(): Promise<void> {
    const {network, sha1} = portsOf(this.#machine, this.birth);
    const first = await foundCluster({config: configOf(this.birth), network, sha1, logger: silentLogger});
    this.#logs = [this.log];
    this.#attempt({entries: first.entries, hardState: first.hardState});
  }

  /** Appends commands behind the log, or from `from` on over what stands there. Resolves when it is acknowledged. */
  append(
    commands: readonly (Command | undefined)[],
    options: {term?: Term; from?: Index; hardState?: HardState; commit?: Index} = {},
  ): Promise<void> {
    const {log} = this;
    const {term = Math.max(1, log.hardState.term), from = log.lastIndex + 1} = options;
    const entries = commands.map((command, i) => this.#entry(from + i, term, command));
    const commit = Math.max(options.commit ?? 0, log.hardState.commit);
    const hardState =
      options.hardState ??
      (term > log.hardState.term ? {term, vote: 0n, commit} : {...log.hardState, commit});
    return this.#write({entries, hardState});
  }

  /** A term, a vote or a commit index alone. */
  note(hardState: HardState): Promise<void> {
    return this.#write({entries: [], hardState});
  }

  /** Applies what is committed by `index`, and cuts the log where that is due. */
  apply(index: Index): void {
    const {applier, opened} = this.#parts;
    const {index: from} = opened.stateMachine.applied();
    applier.apply(this.log.entries.filter((entry) => entry.index > from && entry.index <= index));
    this.#promise();
  }

  considerCut(): void {
    this.#parts.snapshotter.consider(this.#committed);
  }

  /** The store commits what is applied. */
  async flush(): Promise<void> {
    const mark = await this.#orEnd(this.#parts.opened.store.flush());
    this.#durable(mark);
  }

  /** A leader's image comes: its bytes, and then, unless raft does not want it, its place in log and store. */
  async receiveImage(
    source: {
      mark: AppliedMark;
      term: Term;
      chunks: AsyncIterable<Uint8Array>;
      hashes: ReadonlyMap<Index, number>;
    },
    options: {isWanted: boolean},
  ): Promise<void> {
    const {snapshotter, applier, opened} = this.#parts;
    const {mark} = source;
    const confState = opened.stateMachine.confState();
    const announced: SnapshotMessage = {
      type: 'snapshot',
      from: 2n,
      to: opened.identity.memberId,
      term: source.term,
      meta: {index: mark.index, term: mark.term, confState},
    };
    for (const [index, hash] of source.hashes) if (!this.#hashes.has(index)) this.#hashes.set(index, hash);
    // A start may find the image whole before it has its place in the log.
    this.#promise();
    await this.#orEnd(snapshotter.receive(announced, source.chunks, this.#committed));
    if (!options.isWanted) return this.#orEnd(snapshotter.discard());
    const hardState = {
      term: Math.max(source.term, this.log.hardState.term),
      vote: source.term > this.log.hardState.term ? 0n : this.log.hardState.vote,
      commit: mark.index,
    };
    const noted = this.#write({entries: [], hardState, snapshot: {index: mark.index, term: mark.term}});
    const installed = (async () => {
      await applier.pause();
      await snapshotter.install(mark.index);
      await runSlices(opened.stateMachine.load(), passingClock);
      applier.resume(mark.index);
      this.#committed = mark.index;
      this.#durable(mark);
    })();
    noted.catch(() => undefined);
    installed.catch(() => undefined);
    await this.#orEnd(Promise.all([noted, installed]));
  }

  async stop(): Promise<void> {
    const {opened, writer} = this.#parts;
    this.#isStopping = true;
    await this.#orEnd(writer.drained());
    await this.#orEnd(opened.store.stop());
    this.#durable(opened.store.committed());
    await this.#orEnd(opened.close());
    this.#logs = [this.log];
    this.#promise();
    this.#opened = undefined;
  }

  /** Takes down what is left of a member that failed; what that fails with is of no account any more. */
  async giveUp(): Promise<void> {
    if (this.#opened === undefined) return;
    const {opened, writer} = this.#parts;
    this.#isStopping = true;
    for (const step of [() => writer.drained(), () => opened.store.stop(), () => opened.close()]) {
      await Promise.allSettled([step()]);
    }
    this.#opened = undefined;
  }

  get #parts() {
    const [opened, applier, writer, snapshotter] = [
      this.#opened,
      this.#applier,
      this.#writer,
      this.#snapshotter,
    ];
    if (!opened || !applier || !writer || !snapshotter) throw new Error('the member does not run');
    return {opened, applier, writer, snapshotter};
  }

  #entry(index: Index, term: Term, command: Command | undefined): Entry {
    const payload =
      command === undefined ? Buffer.alloc(0) : encodeProposal({proposer: 9n, requestId: index, command});
    return {index, term, type: EntryType.normal, payload};
  }

  #attempt(batch: {entries: readonly Entry[]; hardState: HardState; snapshot?: Position}): WalModel {
    const model = this.log.copy();
    model.apply({...batch, sync: true});
    this.#logs.push(model);
    this.#promise();
    return model;
  }

  #write(batch: {entries: readonly Entry[]; hardState: HardState; snapshot?: Position}): Promise<void> {
    const {writer, opened} = this.#parts;
    const model = this.#attempt(batch);
    const ticket = ++this.#tickets;
    const acknowledged = new Promise<void>((resolve) => this.#waiting.set(ticket, {model, resolve}));
    const message = {ticket} as unknown as Message;
    writer.add({
      entries: batch.entries,
      hardState: batch.hardState,
      snapshot: batch.snapshot && {...batch.snapshot, confState: opened.stateMachine.confState()},
      mustSync: true,
      messagesAfterSync: [message],
    } as unknown as Ready);
    return this.#orEnd(acknowledged);
  }

  #acknowledge(messages: readonly Message[]): void {
    for (const message of messages) {
      const {ticket} = message as unknown as {ticket: number};
      const waiting = this.#waiting.get(ticket);
      if (waiting === undefined) continue;
      this.#waiting.delete(ticket);
      this.#logs = this.#logs.slice(this.#logs.indexOf(waiting.model));
      this.#promise();
      waiting.resolve();
    }
  }

  #durable(mark: {index: Index}): void {
    this.#stored = Math.max(this.#stored, mark.index);
    this.#promise();
  }

  #promise(): void {
    const promised: Promised = {
      birth: this.birth,
      isMade: this.#isMade,
      logs: [...this.#logs],
      committed: this.#committed,
      stored: this.#stored,
      hashes: this.#hashes,
    };
    this.#recorder.promise(promised);
  }

  #orEnd<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#end]);
  }

  #makeApplier(opened: OpenedMember, onFailure: (error: unknown) => void): Applier {
    return applierOf(opened, {
      onApplied: ({index}) => {
        this.#committed = Math.max(this.#committed, index);
        this.#hashes.set(index, opened.stateMachine.applied().hash);
      },
      onFailure,
    });
  }

  #makeSnapshotter(opened: OpenedMember): Snapshotter {
    return new Snapshotter(
      {
        store: opened.store,
        disk: this.#machine.disk,
        backendOpener: this.#machine.stores,
        network: {} as never,
        clock: passingClock,
        logger: silentLogger,
        snapshotCount: configOf(this.birth).snapshotCount,
        catchupEntries: configOf(this.birth).snapshotCatchupEntries,
        compact: (point) => this.#cut(point),
        termAt: (index) => this.log.entries.find((entry) => entry.index === index)?.term,
        logBytes: () => 0,
        appliedLogBytes: () => 0,
        cutLeaving: () => 0,
        snapshotFinished: () => undefined,
      },
      {lastCut: opened.firstIndex - 1, marker: opened.markerIndex},
    );
  }

  /** As the loop does it: none once it has stopped. */
  #cut(point: Position): void {
    if (this.#isStopping) return;
    this.#durable(this.#parts.opened.store.committed());
    this.#attempt({entries: [], hardState: this.log.hardState, snapshot: point});
    this.#parts.writer.compact(point);
  }
}

interface Position {
  readonly index: Index;
  readonly term: Term;
}
