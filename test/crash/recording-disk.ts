/** The Disk port over another disk, with a record of everything that changes it. */

import type {Disk, DiskFile} from '../../src/engine/ports.ts';
import {type DiskEvent, type FileId, imageName, type NameChange, parentOf} from './disk-event.ts';

/** The record of one machine: its disk and its stores write into the same one, in order. */
export class Recorder {
  readonly events: DiskEvent[] = [];
  readonly #names = new Map<string, FileId | 'folder'>();
  #files = 0;

  /** @param names of what the disk holds before the first event */
  constructor(names: ReadonlyMap<string, FileId | 'folder'> = new Map()) {
    for (const [path, to] of names) {
      this.#names.set(path, to);
      if (to !== 'folder') this.#files = Math.max(this.#files, to);
    }
    this.#names.set('.', 'folder');
  }

  promise(promise: unknown): void {
    this.events.push({kind: 'promise', promise});
  }

  has(path: string): boolean {
    return this.#names.has(path);
  }

  fileAt(path: string): FileId {
    const file = this.#names.get(path);
    if (file === undefined || file === 'folder') throw new Error(`no file was recorded at ${path}`);
    return file;
  }

  create(path: string): FileId {
    this.#files++;
    this.#change(parentOf(path), [{path, to: this.#files}]);
    return this.#files;
  }

  makeFolder(path: string): void {
    const parts = path.split('/');
    for (let i = 1; i <= parts.length; i++) {
      const folder = parts.slice(0, i).join('/');
      if (!this.#names.has(folder)) this.#change(parentOf(folder), [{path: folder, to: 'folder'}]);
    }
  }

  rename(from: string, to: string): void {
    const moved = this.#names.get(from);
    if (moved === undefined) return;
    this.#change(parentOf(from), [
      {path: from, to: undefined},
      {path: to, to: moved},
    ]);
  }

  /** The deepest first, as a recursive removal goes. */
  remove(path: string): void {
    const below = [...this.#names.keys()].filter((name) => name === path || name.startsWith(`${path}/`));
    for (const name of below.sort().reverse()) this.#change(parentOf(name), [{path: name, to: undefined}]);
  }

  /** Call it when the sync begins, and what it returns when it is done. */
  syncs(target: {file: FileId} | {folder: string}): () => void {
    const covers = this.events.length;
    return () => {
      if ('file' in target) this.events.push({kind: 'sync', file: target.file, covers});
      else this.events.push({kind: 'syncFolder', folder: target.folder, covers});
    };
  }

  /** A store makes its files durable in its own folder before it says so. */
  makeImage(folder: string): void {
    if (this.#names.has(imageName(folder))) return;
    this.create(imageName(folder));
    this.syncs({folder})();
  }

  #change(folder: string, changes: readonly NameChange[]): void {
    for (const {path, to} of changes) {
      if (to === undefined) this.#names.delete(path);
      else this.#names.set(path, to);
    }
    this.events.push({kind: 'names', folder, changes});
  }
}

/** What is under way when the power fails has happened or not: it is recorded when it begins, a sync when it ends. */
export class RecordingDisk implements Disk {
  readonly #disk: Disk;
  readonly #recorder: Recorder;

  constructor(disk: Disk, recorder: Recorder) {
    this.#disk = disk;
    this.#recorder = recorder;
  }

  async open(path: string, options: {create: boolean}): Promise<DiskFile> {
    const recorder = this.#recorder;
    const id = options.create ? recorder.create(path) : undefined;
    const file = await this.#disk.open(path, options);
    return recordingFile(file, id ?? recorder.fileAt(path), recorder);
  }

  rename(from: string, to: string): Promise<void> {
    this.#recorder.rename(from, to);
    return this.#disk.rename(from, to);
  }

  remove(path: string): Promise<void> {
    this.#recorder.remove(path);
    return this.#disk.remove(path);
  }

  makeFolder(path: string): Promise<void> {
    if (path !== '.') this.#recorder.makeFolder(path);
    return this.#disk.makeFolder(path);
  }

  async syncFolder(path: string): Promise<void> {
    const done = this.#recorder.syncs({folder: path});
    await this.#disk.syncFolder(path);
    done();
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#disk.readFile(path);
  }

  exists(path: string): Promise<boolean> {
    return this.#disk.exists(path);
  }

  list(path: string): Promise<string[]> {
    return this.#disk.list(path);
  }

  userPath(path: string): string {
    return this.#disk.userPath(path);
  }
}

function recordingFile(file: DiskFile, id: FileId, recorder: Recorder): DiskFile {
  const {events} = recorder;
  return {
    read: (position, length) => file.read(position, length),
    write: (position, parts) => {
      events.push({kind: 'write', file: id, position, bytes: Buffer.concat(parts.map((part) => part))});
      return file.write(position, parts);
    },
    sync: async () => {
      const done = recorder.syncs({file: id});
      await file.sync();
      done();
    },
    preallocate: async (length) => {
      if ((await file.size()) < length) events.push({kind: 'resize', file: id, length});
      await file.preallocate(length);
    },
    truncate: (length) => {
      events.push({kind: 'resize', file: id, length});
      return file.truncate(length);
    },
    size: () => file.size(),
    close: () => file.close(),
  };
}
