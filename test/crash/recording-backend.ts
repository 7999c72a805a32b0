/** Stores in memory whose commits stand in a machine's record, with the content that they lead to. */

import type {Backend, BackendBatch, BackendOpener, Clock, Disk} from '../../src/engine/ports.ts';
import {type AppliedMark, TABLES, type Table} from '../../src/engine/types.ts';
import {MemoryBackendDisk} from '../simulator/memory-backend.ts';
import type {ImageContent} from './disk-event.ts';
import {type Machine, passingClock} from './member-world.ts';
import {type Recorder, RecordingDisk} from './recording-disk.ts';

/** A machine whose disk and stores write into one record. With the folder of a store goes what is in it. */
export function recordedMachine(
  disk: Disk,
  recorder: Recorder | undefined,
  contents: ReadonlyMap<string, ImageContent> = new Map(),
): Machine & {readonly stores: RecordingBackends} {
  const stores = new RecordingBackends({clock: passingClock, recorder, contents});
  const recorded = recorder === undefined ? disk : new RecordingDisk(disk, recorder);
  const whole: Disk = {
    open: (path, options) => recorded.open(path, options),
    readFile: (path) => recorded.readFile(path),
    exists: (path) => recorded.exists(path),
    list: (path) => recorded.list(path),
    makeFolder: (path) => recorded.makeFolder(path),
    rename: (from, to) => recorded.rename(from, to),
    async remove(path) {
      await recorded.remove(path);
      stores.forget(path);
    },
    syncFolder: (path) => recorded.syncFolder(path),
    userPath: (path) => recorded.userPath(path),
  };
  return {disk: whole, stores};
}

const NOTHING: ImageContent = {applied: {index: 0, term: 0, hash: 0}, records: new Map()};

export class RecordingBackends implements BackendOpener {
  readonly #images: MemoryBackendDisk;
  readonly #recorder: Recorder | undefined;
  readonly #contents = new Map<string, ImageContent>();
  /** Throws, before a commit is made, what it fails with. */
  onCommit: () => void = () => undefined;

  /** @param options.contents of the stores that are there already */
  constructor(options: {
    readonly clock: Clock;
    readonly recorder?: Recorder | undefined;
    readonly contents?: ReadonlyMap<string, ImageContent> | undefined;
  }) {
    this.#images = new MemoryBackendDisk({clock: options.clock, commitMs: () => 0});
    this.#recorder = options.recorder;
    for (const [path, content] of options.contents ?? []) this.#contents.set(path, content);
  }

  async open(path: string): Promise<Backend> {
    const isNew = !this.#images.paths().includes(path);
    const backend = await this.#images.open(path);
    const known = this.#contents.get(path);
    if (isNew && known !== undefined) await backend.commit(batchOf(known));
    this.#recorder?.makeImage(path);
    const commit = backend.commit.bind(backend);
    backend.commit = async (batch) => {
      this.onCommit();
      const taken = {puts: [...batch.puts], deletes: [...batch.deletes], applied: batch.applied};
      const content = contentAfter(this.#contents.get(path) ?? NOTHING, taken);
      this.#recorder?.events.push({kind: 'commit', path, content});
      await commit(taken);
      this.#contents.set(path, content);
      this.#recorder?.events.push({kind: 'committed', path});
    };
    return backend;
  }

  /** A store whose folder is gone is gone. */
  forget(path: string): void {
    this.#images.remove(path);
    for (const name of [...this.#contents.keys()])
      if (name === path || name.startsWith(`${path}/`)) this.#contents.delete(name);
  }

  contents(): ReadonlyMap<string, ImageContent> {
    return new Map(this.#contents);
  }
}

function contentAfter({records}: ImageContent, batch: BackendBatch): ImageContent {
  const next = new Map<Table, Map<string, Uint8Array>>();
  for (const table of TABLES) next.set(table, new Map(records.get(table) ?? []));
  for (const {table, key, value} of batch.puts)
    next.get(table)?.set(Buffer.from(key).toString('latin1'), Buffer.from(value));
  for (const {table, key} of batch.deletes) next.get(table)?.delete(Buffer.from(key).toString('latin1'));
  const applied: AppliedMark = batch.applied;
  return {applied, records: next};
}

function batchOf({applied, records}: ImageContent): BackendBatch {
  const puts = [...records].flatMap(([table, byKey]) =>
    [...byKey].map(([key, value]) => ({table, key: Buffer.from(key, 'latin1'), value})),
  );
  return {puts, deletes: [], applied};
}
