/**
 * A disk in memory that can lose power.
 *
 * It knows two states of each file and folder: what programs see, and what is durable. `crash` makes the disk that
 * a machine finds after a power failure: of what was never synced, any part may be there (sector by sector of each
 * write, any of each folder's changes of names). A process that is only killed loses nothing: open the same
 * disk again.
 *
 * `turn` is called before each operation: a simulator decides there how long the operation takes, whether it fails
 * (by throwing an EngineError) and whether the machine still lives (by throwing anything else).
 */

import {assert, EngineError} from '../../src/engine/errors.ts';
import {asBuffer} from '../../src/engine/lib/bytes.ts';
import type {Disk, DiskFile, Random} from '../../src/engine/ports.ts';

const SECTOR_BYTES = 512;

export interface DiskOperation {
  readonly name:
    | 'open'
    | 'readFile'
    | 'exists'
    | 'list'
    | 'makeFolder'
    | 'rename'
    | 'remove'
    | 'syncFolder'
    | 'read'
    | 'write'
    | 'sync'
    | 'preallocate'
    | 'truncate'
    | 'size'
    | 'close';
  readonly path: string;
}

export interface MemoryDiskOptions {
  readonly turn?: ((operation: DiskOperation) => Promise<void> | void) | undefined;
  /** What all files together may hold; unlimited by default. */
  readonly capacityBytes?: number | undefined;
}

/** What a power failure leaves of what was not synced. */
export interface CrashChoices {
  /** Whether one unsynced change of a folder's names is durable; a later one may be without an earlier one. */
  isNameChangeKept(): boolean;
  /** How many bytes of an unsynced write are kept from its start, if the whole file's last write is torn. */
  lastWriteKept?(bytes: number): number;
  /** Whether one sector of an unsynced write is kept. */
  isSectorKept(): boolean;
}

export const loseUnsynced: CrashChoices = {isNameChangeKept: () => false, isSectorKept: () => false};
export const keepUnsynced: CrashChoices = {isNameChangeKept: () => true, isSectorKept: () => true};

/** Keeps all but the end of the last write of each file. */
export function tearLastWrite(keptBytes: number): CrashChoices {
  return {...keepUnsynced, lastWriteKept: (bytes) => Math.min(bytes, keptBytes)};
}

export function anyCrash(random: Random): CrashChoices {
  return {isNameChangeKept: () => random.below(2) === 1, isSectorKept: () => random.below(2) === 1};
}

type Change =
  | {readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array}
  /** Longer: filled up with zeros. */
  | {readonly kind: 'resize'; readonly length: number};

class Content {
  #bytes: Buffer;
  #length: number;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = Buffer.from(bytes);
    this.#length = bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  apply(change: Change): void {
    if (change.kind === 'resize') {
      this.#reserve(change.length);
      if (change.length < this.#length) this.#bytes.fill(0, change.length, this.#length);
      this.#length = change.length;
      return;
    }
    const end = change.position + change.bytes.length;
    this.#reserve(end);
    this.#bytes.set(change.bytes, change.position);
    this.#length = Math.max(this.#length, end);
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.max(length, this.#bytes.length * 2));
    this.#bytes.copy(grown);
    this.#bytes = grown;
  }
}

class FileNode {
  readonly kind = 'file';
  /** What programs see. */
  readonly current: Content;
  /** What a power failure leaves for sure. */
  readonly durable: Content;
  /** What leads from one to the other. */
  readonly unsynced: Change[] = [];
  /** Changes that are no longer among those. */
  #settled = 0;

  constructor(bytes?: Uint8Array) {
    this.current = new Content(bytes);
    this.durable = new Content(bytes);
  }

  change(change: Change): void {
    this.current.apply(change);
    this.unsynced.push(change);
  }

  /** All that there ever were. */
  get changes(): number {
    return this.#settled + this.unsynced.length;
  }

  /** Makes so many of its changes durable, from the first on. */
  sync(changes: number): void {
    for (const change of this.#settle(changes)) this.durable.apply(change);
  }

  /** They never become durable. */
  forget(changes: number): void {
    this.#settle(changes);
  }

  #settle(changes: number): readonly Change[] {
    const settled = this.unsynced.splice(0, Math.max(0, changes - this.#settled));
    this.#settled += settled.length;
    return settled;
  }
}

interface FolderNode {
  readonly kind: 'folder';
}

type Node = FileNode | FolderNode;

interface NameChange {
  /** undefined: the name goes away. */
  readonly changes: readonly (readonly [path: string, node: Node | undefined])[];
}

export class MemoryDisk implements Disk {
  readonly #turn: ((operation: DiskOperation) => Promise<void> | void) | undefined;
  readonly #capacityBytes: number;
  readonly #names = new Map<string, Node>();
  readonly #durableNames = new Map<string, Node>();
  /** By folder. */
  readonly #unsyncedNames = new Map<string, NameChange[]>();
  /** Others have taken all the room that was left. */
  isFull = false;
  #isDead = false;

  constructor(options: MemoryDiskOptions = {}) {
    this.#turn = options.turn;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    for (const names of [this.#names, this.#durableNames]) names.set('.', {kind: 'folder'});
  }

  /** The disk after a power failure now. This one is of no more use: every operation on it fails. */
  crash(choices: CrashChoices, options: MemoryDiskOptions = {}): MemoryDisk {
    this.#isDead = true;
    const survivor = new MemoryDisk(options);
    const names = new Map(this.#durableNames);
    for (const changes of this.#unsyncedNames.values()) {
      for (const change of changes) if (choices.isNameChangeKept()) applyNames(names, change);
    }
    const nodes = new Map<Node, Node>();
    for (const path of [...names.keys()].sort()) {
      const node = names.get(path);
      if (node === undefined || !survivor.#names.has(parentOf(path))) continue;
      const survived = nodes.get(node) ?? (node.kind === 'file' ? survivorOf(node, choices) : node);
      nodes.set(node, survived);
      survivor.#names.set(path, survived);
      survivor.#durableNames.set(path, survived);
    }
    return survivor;
  }

  /** A disk with the same content, all of it durable, that shares nothing with this one. */
  copy(options: MemoryDiskOptions = {}): MemoryDisk {
    const twin = new MemoryDisk(options);
    for (const [path, node] of this.#names) {
      const copied = node.kind === 'file' ? new FileNode(node.current.view()) : node;
      twin.#names.set(path, copied);
      twin.#durableNames.set(path, copied);
    }
    return twin;
  }

  /** A disk with this content, all of it durable. Folders come before what is in them. */
  static holding(
    content: {readonly folders: readonly string[]; readonly files: ReadonlyMap<string, Uint8Array>},
    options: MemoryDiskOptions = {},
  ): MemoryDisk {
    const disk = new MemoryDisk(options);
    const add = (path: string, node: Node): void => {
      disk.#names.set(path, node);
      disk.#durableNames.set(path, node);
    };
    for (const folder of content.folders) add(folder, {kind: 'folder'});
    for (const [path, bytes] of content.files) add(path, new FileNode(bytes));
    return disk;
  }

  /** What programs see, for `holding`. */
  content(): {readonly folders: readonly string[]; readonly files: ReadonlyMap<string, Buffer>} {
    const folders: string[] = [];
    const files = new Map<string, Buffer>();
    for (const path of [...this.#names.keys()].sort()) {
      const node = this.#names.get(path);
      if (node?.kind === 'file') files.set(path, Buffer.from(node.current.view()));
      else if (path !== '.') folders.push(path);
    }
    return {folders, files};
  }

  /** What programs see in a file: for tests, outside all turns. */
  bytesOf(path: string): Buffer {
    return this.#file(normalize(path), 'read').current.view();
  }

  /** Changes a file under the programs' feet, durably: rot, or a hand that meddles. */
  tamper(path: string, position: number, bytes: Uint8Array): void {
    const node = this.#file(normalize(path), 'write');
    for (const content of [node.current, node.durable]) content.apply({kind: 'write', position, bytes});
  }

  /** The names in a folder, sorted; none when there is no such folder. For tests, outside all turns. */
  namesIn(path: string): string[] {
    const name = normalize(path);
    return this.#namesIn(name);
  }

  /** A file is as it once was, durably. */
  putBack(path: string, bytes: Uint8Array): void {
    const node = new FileNode(bytes);
    for (const names of [this.#names, this.#durableNames]) names.set(normalize(path), node);
  }

  /** A file, or a folder with all in it, is gone, durably. */
  lose(path: string): void {
    const name = normalize(path);
    for (const names of [this.#names, this.#durableNames])
      for (const other of [...names.keys()]) if (isIn(name, other)) names.delete(other);
  }

  userPath(path: string): string {
    return `/memory/${path}`;
  }

  async open(path: string, options: {create: boolean}): Promise<DiskFile> {
    const name = normalize(path);
    await this.#take('open', name);
    const known = this.#names.get(name);
    if (options.create) {
      if (known !== undefined) throw this.#error(name, 'open', 'EEXIST');
      const node = new FileNode();
      this.#changeNames(parentOf(name), 'open', [[name, node]]);
      return this.#handle(name, node);
    }
    return this.#handle(name, this.#file(name, 'open'));
  }

  async readFile(path: string): Promise<Uint8Array> {
    const name = normalize(path);
    await this.#take('readFile', name);
    return Buffer.from(this.#file(name, 'read').current.view());
  }

  async exists(path: string): Promise<boolean> {
    const name = normalize(path);
    await this.#take('exists', name);
    return this.#names.has(name);
  }

  async list(path: string): Promise<string[]> {
    const name = normalize(path);
    await this.#take('list', name);
    this.#checkFolder(name, 'list');
    return this.#namesIn(name);
  }

  async makeFolder(path: string): Promise<void> {
    const name = normalize(path);
    await this.#take('makeFolder', name);
    const parts = name.split('/');
    for (let i = 1; i <= parts.length; i++) {
      const folder = parts.slice(0, i).join('/');
      const known = this.#names.get(folder);
      if (known?.kind === 'file') throw this.#error(name, 'mkdir', 'EEXIST');
      if (known === undefined) this.#changeNames(parentOf(folder), 'mkdir', [[folder, {kind: 'folder'}]]);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [normalize(from), normalize(to)];
    await this.#take('rename', source);
    const node = this.#names.get(source);
    if (node === undefined) throw this.#error(source, 'rename', 'ENOENT');
    assert(parentOf(source) === parentOf(target), 'the simulated disk renames within a folder only');
    assert(node.kind === 'file', 'the simulated disk renames files only');
    this.#changeNames(parentOf(source), 'rename', [
      [source, undefined],
      [target, node],
    ]);
  }

  async remove(path: string): Promise<void> {
    const name = normalize(path);
    await this.#take('remove', name);
    const below = [...this.#names.keys()].filter((other) => isIn(name, other));
    // The deepest first, as a recursive removal goes.
    for (const gone of below.sort().reverse())
      this.#changeNames(parentOf(gone), 'remove', [[gone, undefined]]);
  }

  async syncFolder(path: string): Promise<void> {
    const name = normalize(path);
    // What is changed meanwhile may be too late for it.
    const begun = new Set(this.#unsyncedNames.get(name));
    await this.#take('syncFolder', name);
    this.#checkFolder(name, 'fsync');
    const unsynced = this.#unsyncedNames.get(name) ?? [];
    for (const change of unsynced) if (begun.has(change)) applyNames(this.#durableNames, change);
    const left = unsynced.filter((change) => !begun.has(change));
    if (left.length > 0) this.#unsyncedNames.set(name, left);
    else this.#unsyncedNames.delete(name);
  }

  #namesIn(folder: string): string[] {
    const found = [...this.#names.keys()].filter((other) => other !== '.' && parentOf(other) === folder);
    return found.map((other) => other.slice(other.lastIndexOf('/') + 1)).sort();
  }

  #freeBytes(): number {
    const files = new Set([...this.#names.values()].filter((node) => node.kind === 'file'));
    let used = 0;
    for (const file of files) used += file.current.length;
    return this.isFull ? 0 : this.#capacityBytes - used;
  }

  #changeNames(
    folder: string,
    operation: string,
    changes: readonly (readonly [path: string, node: Node | undefined])[],
  ): void {
    this.#checkFolder(folder, operation);
    const change = {changes};
    applyNames(this.#names, change);
    const unsynced = this.#unsyncedNames.get(folder);
    if (unsynced === undefined) this.#unsyncedNames.set(folder, [change]);
    else unsynced.push(change);
  }

  #handle(path: string, node: FileNode): DiskFile {
    let isOpen = true;
    const take = async (name: DiskOperation['name']): Promise<void> => {
      if (!isOpen) throw this.#error(path, name, 'EBADF');
      await this.#take(name, path);
    };
    /** Fails where the disk has no room, after writing what fits. */
    const grow = (change: Change, end: number): void => {
      const room = node.current.length + this.#freeBytes();
      if (end <= node.current.length || end <= room) {
        node.change(change);
        return;
      }
      if (change.kind === 'write' && room > change.position) {
        node.change({...change, bytes: change.bytes.slice(0, room - change.position)});
      } else if (change.kind === 'resize') {
        node.change({kind: 'resize', length: room});
      }
      throw new EngineError({code: 'diskFull', path: this.userPath(path)});
    };
    return {
      read: async (position, length) => {
        await take('read');
        return Buffer.from(node.current.view().subarray(position, position + length));
      },
      write: async (position, parts) => {
        const bytes = Buffer.concat(parts.map(asBuffer));
        await take('write');
        grow({kind: 'write', position, bytes}, position + bytes.length);
      },
      sync: async () => {
        // What is written meanwhile may be too late for it.
        const {changes} = node;
        try {
          await take('sync');
        } catch (error) {
          // As Linux does it: what could not be written counts as clean from now on, and is lost.
          if (error instanceof EngineError) node.forget(changes);
          throw error;
        }
        node.sync(changes);
      },
      preallocate: async (length) => {
        await take('preallocate');
        if (length > node.current.length) grow({kind: 'resize', length}, length);
      },
      truncate: async (length) => {
        await take('truncate');
        grow({kind: 'resize', length}, length);
      },
      size: async () => {
        await take('size');
        return node.current.length;
      },
      close: async () => {
        await take('close');
        isOpen = false;
      },
    };
  }

  #file(path: string, operation: string): FileNode {
    const node = this.#names.get(path);
    if (node === undefined) throw this.#error(path, operation, 'ENOENT');
    if (node.kind !== 'file') throw this.#error(path, operation, 'EISDIR');
    return node;
  }

  #checkFolder(path: string, operation: string): void {
    const node = this.#names.get(path);
    if (node === undefined) throw this.#error(path, operation, 'ENOENT');
    if (node.kind !== 'folder') throw this.#error(path, operation, 'ENOTDIR');
  }

  async #take(name: DiskOperation['name'], path: string): Promise<void> {
    this.#checkAlive(name, path);
    await this.#turn?.({name, path});
    this.#checkAlive(name, path);
  }

  #checkAlive(name: string, path: string): void {
    if (this.#isDead) throw this.#error(path, name, 'the machine has lost power');
  }

  #error(path: string, operation: string, detail: string): EngineError {
    return new EngineError({code: 'diskError', path: this.userPath(path), operation, detail});
  }
}

function applyNames(names: Map<string, Node>, {changes}: NameChange): void {
  for (const [path, node] of changes) {
    if (node === undefined) names.delete(path);
    else names.set(path, node);
  }
}

/** The file as the power failure leaves it: what was durable, and the chosen sectors of what was not. */
function survivorOf(node: FileNode, choices: CrashChoices): FileNode {
  const content = new Content(node.durable.view());
  const {unsynced} = node;
  for (let i = 0; i < unsynced.length; i++) {
    const change = unsynced[i];
    if (change.kind === 'resize') {
      if (choices.isSectorKept()) content.apply(change);
      continue;
    }
    const isLast = i === unsynced.length - 1;
    const kept = isLast ? choices.lastWriteKept?.(change.bytes.length) : undefined;
    if (kept !== undefined) {
      content.apply({...change, bytes: change.bytes.subarray(0, kept)});
      continue;
    }
    for (const piece of sectorsOf(change.position, change.bytes)) {
      if (choices.isSectorKept()) content.apply({kind: 'write', ...piece});
    }
  }
  return new FileNode(content.view());
}

function* sectorsOf(position: number, bytes: Uint8Array): Generator<{position: number; bytes: Uint8Array}> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
    yield {position: position + at, bytes: bytes.subarray(at, end)};
    at = end;
  }
}

const isIn = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}/`);

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}

function normalize(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  assert(!path.startsWith('/') && !parts.includes('..'), `path leaves the root: ${path}`);
  return parts.length === 0 ? '.' : parts.join('/');
}
