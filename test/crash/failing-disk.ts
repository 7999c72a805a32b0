/** The Disk port over another disk, one of whose calls fails: the N-th of them all, reads and closes included. */

import {EngineError} from '../../src/engine/errors.ts';
import type {Disk, DiskFile} from '../../src/engine/ports.ts';

export interface Fault {
  readonly name: string;
  /** What the call fails with, as the engine is told. */
  readonly error: (path: string, operation: string) => EngineError;
  /** Of a write, this part of it is done before it fails. */
  readonly writtenPart: number;
  /** All later calls fail, too. */
  readonly isLasting: boolean;
}

const systemError = (detail: string) => (path: string, operation: string) =>
  new EngineError({code: 'diskError', path, operation, detail});
const full = (path: string) => new EngineError({code: 'diskFull', path});

const once = {writtenPart: 0, isLasting: false};

export const FAULTS: readonly Fault[] = [
  {name: 'EIO', error: systemError('EIO'), ...once},
  {name: 'EIO, and ever after', error: systemError('EIO'), writtenPart: 0, isLasting: true},
  {name: 'ENOSPC', error: full, ...once},
  {name: 'ENOSPC after a part of the write', error: full, writtenPart: 0.5, isLasting: false},
  {name: 'EDQUOT after nearly all of the write', error: full, writtenPart: 0.95, isLasting: false},
  {name: 'EMFILE', error: systemError('EMFILE'), ...once},
  {name: 'EROFS, and ever after', error: systemError('EROFS'), writtenPart: 0, isLasting: true},
  {name: 'EIO after a part of the write', error: systemError('EIO'), writtenPart: 0.3, isLasting: false},
];

export class FailingDisk implements Disk {
  readonly #disk: Disk;
  readonly #fault: Fault;
  readonly #failSync: (error: unknown) => void;
  readonly #hidesSyncErrors: boolean;
  /** Calls that are left before the one that fails. */
  #left: number;
  calls = 0;
  /** The call that failed first. */
  failed: string | undefined;

  /**
   * @param options.failAt counted from 1; 0: none fails
   * @param options.failSync makes the next sync of a file fail as the system does it: what was not synced is lost
   */
  constructor(
    disk: Disk,
    options: {
      readonly failAt: number;
      readonly fault: Fault;
      readonly failSync: (error: unknown) => void;
      readonly hidesSyncErrors?: boolean | undefined;
    },
  ) {
    this.#hidesSyncErrors = options.hidesSyncErrors ?? false;
    this.#disk = disk;
    this.#fault = options.fault;
    this.#failSync = options.failSync;
    this.#left = options.failAt === 0 ? Number.POSITIVE_INFINITY : options.failAt;
  }

  /** Also for what is no call of the disk but one of its store. @throws EngineError */
  count(operation: string, path: string): void {
    this.calls++;
    this.#left--;
    if (this.#left > 0 || (this.#left < 0 && !this.#fault.isLasting)) return;
    this.failed ??= `${operation} ${path}`;
    throw this.#fault.error(path, operation);
  }

  async open(path: string, options: {create: boolean}): Promise<DiskFile> {
    this.count('open', path);
    return this.#file(await this.#disk.open(path, options), path);
  }

  async readFile(path: string): Promise<Uint8Array> {
    this.count('read', path);
    return this.#disk.readFile(path);
  }

  async exists(path: string): Promise<boolean> {
    this.count('stat', path);
    return this.#disk.exists(path);
  }

  async list(path: string): Promise<string[]> {
    this.count('list', path);
    return this.#disk.list(path);
  }

  async makeFolder(path: string): Promise<void> {
    this.count('mkdir', path);
    return this.#disk.makeFolder(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.count('rename', from);
    return this.#disk.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.count('remove', path);
    return this.#disk.remove(path);
  }

  async syncFolder(path: string): Promise<void> {
    this.count('fsync', path);
    return this.#disk.syncFolder(path);
  }

  userPath(path: string): string {
    return this.#disk.userPath(path);
  }

  #file(file: DiskFile, path: string): DiskFile {
    const count = (operation: string) => this.count(operation, path);
    return {
      read: async (position, length) => {
        count('read');
        return file.read(position, length);
      },
      write: async (position, parts) => {
        try {
          count('write');
        } catch (error) {
          const bytes = Buffer.concat(parts);
          const part = bytes.subarray(0, Math.floor(bytes.length * this.#fault.writtenPart));
          if (part.length > 0) await file.write(position, [part]);
          throw error;
        }
        return file.write(position, parts);
      },
      sync: async () => {
        try {
          count('fdatasync');
        } catch (error) {
          this.#failSync(error);
          await file.sync().catch(() => undefined);
          if (!this.#hidesSyncErrors) throw error;
          return;
        }
        return file.sync();
      },
      preallocate: async (length) => {
        count('preallocate');
        return file.preallocate(length);
      },
      truncate: async (length) => {
        count('truncate');
        return file.truncate(length);
      },
      size: async () => {
        count('stat');
        return file.size();
      },
      close: async () => {
        // A close that fails has closed the file all the same.
        await file.close();
        count('close');
      },
    };
  }
}
