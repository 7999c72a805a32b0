/**
 * Takes another member's state image in, in the place of the own state: applying stops between two entries, the
 * store's backend is swapped, the state machine reads everything anew, and watchers go on from their next revision.
 */

import {EngineError} from '../errors.ts';
import type {Clock, Logger} from '../ports.ts';
import type {Message, SnapshotMeta} from '../raft/message.ts';
import type {StateMachine} from '../state-machine/state-machine.ts';
import type {MemberId} from '../types.ts';
import type {WatchHub} from '../watch/watch-hub.ts';
import type {Applier} from './applier.ts';
import type {RaftLoop} from './raft-loop.ts';
import {runSlices} from './run-slices.ts';
import type {SnapshotMessage, Snapshotter} from './snapshotter.ts';

export interface SnapshotInstallerOptions {
  readonly snapshotter: Snapshotter;
  readonly applier: Applier;
  readonly stateMachine: StateMachine;
  readonly watchHub: WatchHub;
  readonly loop: () => RaftLoop;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The state is another one: links, hashes and whatever else was derived from the old one. */
  readonly onInstalled: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class SnapshotInstaller {
  readonly #options: SnapshotInstallerOptions;
  #installing: Promise<void> | undefined;
  /** The image that arrives at present. */
  #transfer: {readonly interrupt: () => void; readonly ended: Promise<void>} | undefined;

  constructor(options: SnapshotInstallerOptions) {
    this.#options = options;
  }

  /** Resolves when the state is whole: at once, but while an image takes its place. */
  available(): Promise<void> {
    return this.#installing ?? Promise.resolve();
  }

  /**
   * Another member sends its image. Raft hears of it when it is whole. One at a time, the newest: what a deposed
   * leader sends may hang until its link is given up.
   */
  async receive(from: MemberId, message: Message, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (message.type !== 'snapshot') throw new EngineError({code: 'snapshotInvalid', detail: message.type});
    while (this.#transfer !== undefined) {
      this.#transfer.interrupt();
      await this.#transfer.ended;
    }
    let interrupt = () => {};
    const interrupted = new Promise<never>((_resolve, reject) => {
      interrupt = () =>
        reject(new EngineError({code: 'snapshotInvalid', detail: 'another one takes its place'}));
    });
    interrupted.catch(() => {});
    const received = this.#receive({...message, from}, interruptible(chunks, interrupted));
    const forget = () => {
      this.#transfer = undefined;
    };
    this.#transfer = {interrupt, ended: received.then(forget, forget)};
    await received;
  }

  async #receive(announced: SnapshotMessage, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const {snapshotter, applier, loop} = this.#options;
    // The image that arrived before takes its place first: it must not be thrown away under raft's feet.
    await this.available();
    const isNeeded = await snapshotter.receive(announced, chunks, applier.index);
    await loop().announce(announced);
    // Raft has told the leader how far this member is; the rest of the image need not come.
    if (!isNeeded) return;
    // Kept, it would be the newest store at the next start.
    if (this.#installing === undefined) await snapshotter.discard();
  }

  /** Raft wants the image that has arrived. */
  install(meta: SnapshotMeta): void {
    this.#installing = this.#install(meta)
      .catch((error: unknown) => this.#options.onFailure(error))
      .finally(() => {
        this.#installing = undefined;
      });
  }

  async #install(meta: SnapshotMeta): Promise<void> {
    const {snapshotter, applier, stateMachine, watchHub, loop, clock, logger, onInstalled} = this.#options;
    await applier.pause();
    await snapshotter.install(meta.index);
    await runSlices(stateMachine.load(), clock);
    watchHub.restored();
    onInstalled();
    loop().snapshotInstalled(meta);
    applier.resume(meta.index);
    logger.info('snapshot installed', {index: meta.index, revision: stateMachine.mvcc.currentRevision()});
  }
}

/** The same chunks, until `interrupted` rejects; the source may hang as long as it likes. */
async function* interruptible(
  chunks: AsyncIterable<Uint8Array>,
  interrupted: Promise<never>,
): AsyncGenerator<Uint8Array, void> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([source.next(), interrupted]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    source.return?.().catch(() => {});
  }
}
