/**
 * A member's data folder: who may use it, whose it is, and its making.
 *
 *     KVD      the marker: format, cluster and member id; written last
 *     KVD.new  the marker of a making that is not finished: what stands beside it is void
 *     wal/     the log
 *     store/   the backend
 *     lock     the socket of the process that holds the folder
 *
 * kvd deletes nothing here but what it knows to be its own half-made beginning.
 */

import {assert, EngineError} from '../errors.ts';
import {asBuffer} from '../lib/bytes.ts';
import {crc32c} from '../lib/crc32c.ts';
import {hex64} from '../lib/hex64.ts';
import {isObject, parseHex64} from '../lib/plain-data.ts';
import type {Disk, Logger} from '../ports.ts';
import type {ClusterId, MemberId} from '../types.ts';

export const DATA_DIR_FORMAT = 1;
export const WAL_FOLDER = 'wal';
export const STORE_FOLDER = 'store';

const MARKER = 'KVD';
const MARKER_NEW = 'KVD.new';
const LOCK = 'lock';

/** What the marker says: fixed when the folder is made. */
export interface DataDirMarker {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  /** The program that made the folder, with its version: for people. */
  readonly madeBy: string;
  /** Made from a snapshot file: the log begins behind the store's image. */
  readonly isRestored: boolean;
}

/** Takes a folder for this process, or throws `dataDirLocked`; gives the function that releases it. */
export type FolderLock = (path: string) => Promise<() => Promise<void>>;

export interface DataDirPorts {
  /** Rooted at the data folder, which need not exist yet. */
  readonly disk: Disk;
  readonly lock: FolderLock;
  readonly logger: Logger;
}

export class DataDir {
  readonly path: string;
  readonly #disk: Disk;
  readonly #release: () => Promise<void>;
  /** Set by `create`, or from the start. */
  #marker: DataDirMarker | undefined;

  private constructor(disk: Disk, release: () => Promise<void>, marker: DataDirMarker | undefined) {
    this.path = disk.userPath('.');
    this.#disk = disk;
    this.#release = release;
    this.#marker = marker;
  }

  /**
   * Makes the folder if it is missing, takes its lock, and reads its marker. Removes what an unfinished making left.
   * @throws EngineError `dataDirOfEtcd`, `dataDirUnusable`, `dataDirLocked`, `markerCorrupt`, `formatUnsupported`
   */
  static async open(ports: DataDirPorts): Promise<DataDir> {
    const {disk, lock} = ports;
    const path = disk.userPath('.');
    // Looked at before the lock is taken, too: nothing is put into a folder that belongs to others.
    await orUnusable(path, async () => {
      if (await disk.exists('.')) await checkOwnership(disk);
      else await disk.makeFolder('.');
    });
    const release = await lock(path);
    try {
      const marker = await orUnusable(path, () => readState(ports));
      return new DataDir(disk, release, marker);
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Whether a member's data is there; without a look at whose it is, or whether it is in use. */
  static async isMade(disk: Disk): Promise<boolean> {
    return (await disk.exists('.')) && (await disk.exists(MARKER));
  }

  /** Undefined: the folder is fresh, and `create` is still to come. */
  get marker(): DataDirMarker | undefined {
    return this.#marker;
  }

  /**
   * Fills a fresh folder: `build` makes log and store. A crash at any point leaves either nothing or everything.
   */
  async create(marker: DataDirMarker, build: () => Promise<void>): Promise<void> {
    assert(this.#marker === undefined, 'a data folder is made once');
    const disk = this.#disk;
    await orUnusable(this.path, async () => {
      const file = await disk.open(MARKER_NEW, {create: true});
      try {
        await file.write(0, [encodeMarker(marker)]);
        await file.sync();
      } finally {
        await file.close();
      }
      await disk.syncFolder('.');
    });
    await build();
    await disk.syncFolder('.');
    await disk.rename(MARKER_NEW, MARKER);
    await disk.syncFolder('.');
    this.#marker = marker;
  }

  /** Gives the folder back; log and store are closed before. */
  async close(): Promise<void> {
    await this.#release();
  }
}

async function readState({disk, logger}: DataDirPorts): Promise<DataDirMarker | undefined> {
  const names = await checkOwnership(disk);
  if (names.includes(MARKER)) {
    if (names.includes(MARKER_NEW)) await disk.remove(MARKER_NEW);
    // The last run may have ended before these names were durable, by a kill or a sync that failed: what is built on
    // them must not go with them when power fails.
    await disk.syncFolder('.');
    return decodeMarker(await disk.readFile(MARKER), disk.userPath(MARKER));
  }
  if (names.includes(MARKER_NEW)) {
    logger.warn('removing what an unfinished start left', {path: disk.userPath('.')});
    for (const folder of [WAL_FOLDER, STORE_FOLDER]) await disk.remove(folder);
    await disk.syncFolder('.');
    await disk.remove(MARKER_NEW);
    await disk.syncFolder('.');
  }
  return undefined;
}

/** @returns the names in the folder, which is kvd's or empty */
async function checkOwnership(disk: Disk): Promise<readonly string[]> {
  const names = await disk.list('.');
  const path = disk.userPath('.');
  if (names.includes(MARKER) || names.includes(MARKER_NEW)) return names;
  if ((await disk.exists('member/wal')) || (await disk.exists('member/snap'))) {
    throw new EngineError({code: 'dataDirOfEtcd', path});
  }
  const foreign = names.find((name) => !isOfNoAccount(name));
  if (foreign !== undefined) {
    const detail = `it is not empty (there is ${foreign}) and has no ${MARKER} file, so it was not made by kvd`;
    throw new EngineError({code: 'dataDirUnusable', path, detail});
  }
  return names;
}

/** What an empty folder may hold: our lock, temporary and hidden files, and what every ext4 volume has. */
function isOfNoAccount(name: string): boolean {
  return name === LOCK || name.endsWith('.tmp') || name.startsWith('.') || name === 'lost+found';
}

function encodeMarker(marker: DataDirMarker): Uint8Array {
  const line = JSON.stringify({
    format: DATA_DIR_FORMAT,
    clusterId: hex64(marker.clusterId),
    memberId: hex64(marker.memberId),
    madeBy: marker.madeBy,
    isRestored: marker.isRestored,
  });
  return Buffer.from(`${line}\n${checksum(line)}\n`, 'utf8');
}

function decodeMarker(bytes: Uint8Array, path: string): DataDirMarker {
  const [line = '', written = ''] = asBuffer(bytes).toString('utf8').split('\n');
  const isIntact = checksum(line) === written;
  const fields = parseObject(line);
  const format = fields?.format;
  // A later format may have another checksum, so the format counts first.
  if (typeof format === 'number' && format !== DATA_DIR_FORMAT && !isOfThisFormat(line, written)) {
    const found = isIntact ? String(format) : `${format} (or a damaged marker)`;
    throw new EngineError({code: 'formatUnsupported', path, found, supported: String(DATA_DIR_FORMAT)});
  }
  const corrupt = (detail: string) => new EngineError({code: 'markerCorrupt', path, offset: 0, detail});
  if (!isIntact || fields === undefined) {
    throw corrupt('the marker, which says whose this folder is, has a wrong checksum');
  }
  const clusterId = parseHex64(fields.clusterId);
  const memberId = parseHex64(fields.memberId);
  if (format !== DATA_DIR_FORMAT || clusterId === undefined || memberId === undefined) {
    throw corrupt('the marker does not say whose this folder is');
  }
  const madeBy = typeof fields.madeBy === 'string' ? fields.madeBy : '';
  return {clusterId, memberId, madeBy, isRestored: fields.isRestored === true};
}

/** Only the number of the format is damaged. */
function isOfThisFormat(line: string, written: string): boolean {
  return checksum(line.replace(/"format":\d+/, `"format":${DATA_DIR_FORMAT}`)) === written;
}

function checksum(line: string): string {
  return `crc32c ${crc32c(Buffer.from(line, 'utf8')).toString(16).padStart(8, '0')}`;
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    // Not JSON is the same finding as damaged JSON: the caller reports it.
    return undefined;
  }
}

/** One clear error for a folder that cannot be read or written, whatever the system calls it. */
async function orUnusable<Result>(path: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof EngineError) || error.failure.code !== 'diskError') throw error;
    const detail = `${error.failure.operation} failed: ${error.failure.detail}`;
    throw new EngineError({code: 'dataDirUnusable', path, detail}, error);
  }
}
