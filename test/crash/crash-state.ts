/**
 * What a power failure can leave at one place in a record: what is durable there, and the pieces of what is not,
 * each of which may have reached the disk or not, in any order.
 */

import {createHash} from 'node:crypto';
import {PREPARED_NAME} from '../../src/engine/storage/wal-format.ts';
import {
  type DiskEvent,
  type FileId,
  type ImageContent,
  imageName,
  type NameChange,
  parentOf,
} from './disk-event.ts';

export const SECTOR_BYTES = 512;
const NO_BYTES = Buffer.alloc(0);

/** Something that a power failure keeps or drops as a whole. */
export type Piece =
  | {readonly kind: 'names'; readonly event: number; readonly changes: readonly NameChange[]}
  | {
      readonly kind: 'write';
      readonly event: number;
      readonly file: FileId;
      readonly position: number;
      readonly bytes: Uint8Array;
    }
  | {readonly kind: 'resize'; readonly event: number; readonly file: FileId; readonly length: number}
  | {readonly kind: 'commit'; readonly event: number; readonly path: string; readonly content: ImageContent};

/** A disk as a member finds it after the power failure. */
export interface CrashImage {
  readonly folders: readonly string[];
  readonly files: ReadonlyMap<string, Buffer>;
  readonly stores: ReadonlyMap<string, ImageContent>;
  /** Equal for images that no start can tell apart. */
  readonly digest: string;
}

export class CrashState {
  readonly #names = new Map<string, FileId | 'folder'>([['.', 'folder']]);
  readonly #files = new Map<FileId, Buffer>();
  readonly #stores = new Map<FileId, ImageContent>();
  #pending: Piece[] = [];
  #position = 0;
  readonly #sectorBytes: number;

  constructor(options: {readonly from?: CrashImage | undefined; readonly sectorBytes?: number} = {}) {
    this.#sectorBytes = options.sectorBytes ?? SECTOR_BYTES;
    const {from} = options;
    if (from === undefined) return;
    for (const folder of from.folders) this.#names.set(folder, 'folder');
    let id = 0;
    for (const [path, bytes] of from.files) {
      this.#names.set(path, ++id);
      this.#files.set(id, bytes);
    }
    for (const [path, content] of from.stores) {
      this.#names.set(imageName(path), ++id);
      this.#stores.set(id, content);
    }
  }

  /** The names that a recorder of what follows must begin with. */
  names(): ReadonlyMap<string, FileId | 'folder'> {
    return new Map(this.#names);
  }

  /** In the order in which they were made. */
  get pending(): readonly Piece[] {
    return this.#pending;
  }

  /** A name that the file has durably, or will have. */
  nameOf(file: FileId): string | undefined {
    for (const [path, to] of this.#names) if (to === file) return path;
    for (const piece of this.#pending) {
      const change = piece.kind === 'names' ? piece.changes.find(({to}) => to === file) : undefined;
      if (change !== undefined) return change.path;
    }
    return undefined;
  }

  durableLength(file: FileId): number {
    return this.#files.get(file)?.length ?? 0;
  }

  /** @param options isLie: the disk says that it did it and did not */
  take(event: DiskEvent, options: {readonly isLie: boolean} = {isLie: false}): void {
    const at = this.#position++;
    if (options.isLie) return;
    switch (event.kind) {
      case 'names':
        this.#pending.push({kind: 'names', event: at, changes: event.changes});
        return;
      case 'write':
        for (const piece of sectors(event, this.#sectorBytes)) this.#pending.push({...piece, event: at});
        return;
      case 'resize':
        this.#pending.push({kind: 'resize', event: at, file: event.file, length: event.length});
        return;
      case 'sync': {
        const {file, covers, from = 0} = event;
        this.#settle(
          (piece) => 'file' in piece && piece.file === file && piece.event < covers && piece.event >= from,
        );
        return;
      }
      case 'syncFolder':
        this.#settle(
          (piece) =>
            piece.kind === 'names' &&
            parentOf(piece.changes[0].path) === event.folder &&
            piece.event < event.covers,
        );
        return;
      case 'commit':
        this.#pending.push({kind: 'commit', event: at, path: event.path, content: event.content});
        return;
      case 'committed':
        this.#settle((piece) => piece.kind === 'commit' && piece.path === event.path);
        return;
      case 'promise':
        return;
    }
  }

  /** The disk with these of the pending pieces, applied in their order. */
  image(kept: Iterable<Piece>): CrashImage {
    const names = new Map(this.#names);
    const files = new Map<FileId, Buffer>();
    const stores = new Map(this.#stores);
    for (const piece of kept) applyPiece(piece, {names, files, stores, durable: this.#files});
    return describe(names, (file) => files.get(file) ?? this.#files.get(file) ?? NO_BYTES, stores);
  }

  #settle(isDurable: (piece: Piece) => boolean): void {
    const left: Piece[] = [];
    for (const piece of this.#pending) {
      if (!isDurable(piece)) left.push(piece);
      else {
        const target = {names: this.#names, files: this.#files, stores: this.#stores, durable: this.#files};
        applyPiece(piece, target);
      }
    }
    this.#pending = left;
  }
}

interface Target {
  readonly names: Map<string, FileId | 'folder'>;
  readonly files: Map<FileId, Buffer>;
  readonly stores: Map<FileId, ImageContent>;
  readonly durable: ReadonlyMap<FileId, Buffer>;
}

/** Buffers are never changed in place: images share them. */
function applyPiece(piece: Piece, {names, files, stores, durable}: Target): void {
  if (piece.kind === 'names') {
    for (const {path, to} of piece.changes) {
      if (to === undefined) names.delete(path);
      else names.set(path, to);
    }
    return;
  }
  if (piece.kind === 'commit') {
    const image = names.get(imageName(piece.path));
    if (image !== undefined && image !== 'folder') stores.set(image, piece.content);
    return;
  }
  const before = files.get(piece.file) ?? durable.get(piece.file) ?? NO_BYTES;
  if (piece.kind === 'resize') {
    const after = Buffer.alloc(piece.length);
    before.copy(after);
    files.set(piece.file, after);
    return;
  }
  const after = Buffer.alloc(Math.max(before.length, piece.position + piece.bytes.length));
  before.copy(after);
  after.set(piece.bytes, piece.position);
  files.set(piece.file, after);
}

function* sectors(
  event: DiskEvent & {kind: 'write'},
  sectorBytes: number,
): Generator<Omit<Piece & {kind: 'write'}, 'event'>> {
  const {file, position, bytes} = event;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + sectorBytes - ((position + at) % sectorBytes));
    yield {kind: 'write', file, position: position + at, bytes: bytes.subarray(at, end)};
    at = end;
  }
}

/**
 * What can be reached by names. The prepared segment's content counts for nothing: a start removes it unread. Nor does
 * the note beside LMDB's file: with it a start reads the same file once more.
 */
function describe(
  names: ReadonlyMap<string, FileId | 'folder'>,
  contentOf: (file: FileId) => Buffer,
  stores: ReadonlyMap<FileId, ImageContent>,
): CrashImage {
  const folders: string[] = [];
  const files = new Map<string, Buffer>();
  const found = new Map<string, ImageContent>();
  const reached = new Set(['.']);
  const hash = createHash('sha1');
  for (const path of [...names.keys()].sort()) {
    const to = names.get(path);
    if (to === undefined || path === '.' || !reached.has(parentOf(path))) continue;
    if (!path.endsWith('/opening')) hash.update(`${path}\0`);
    if (to === 'folder') {
      reached.add(path);
      folders.push(path);
      continue;
    }
    if (path === imageName(parentOf(path))) {
      const content = stores.get(to);
      hash.update(`${content?.applied.index ?? 0}/${content?.applied.term ?? 0}\0`);
      if (content !== undefined) found.set(parentOf(path), content);
      continue;
    }
    const bytes = contentOf(to);
    files.set(path, bytes);
    if (!path.endsWith(PREPARED_NAME)) hash.update(`${bytes.length}\0`).update(bytes);
  }
  return {folders, files, stores: found, digest: hash.digest('base64')};
}
