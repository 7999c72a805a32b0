/**
 * The store's place in the data dir: `store/<number>/`, the highest number being the newest. A snapshot from
 * another member fills the next number; it counts from the moment its backend carries an applied mark, which is
 * written with its last record, so a crash at any time leaves exactly one newest whole store.
 */

import {EngineError} from '../errors.ts';
import type {Backend, BackendOpener, Disk} from '../ports.ts';
import {STORE_FOLDER} from './data-dir.ts';

export class StoreFolder {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Opens the newest whole store, or a fresh first one; half-filled ones are removed. */
  async open(opener: BackendOpener): Promise<Backend> {
    const newestFirst = (await this.#numbers()).reverse();
    for (const number of newestFirst) {
      const path = pathOf(number);
      const backend = await opener.open(path);
      const isOldest = number === newestFirst.at(-1);
      if (backend.applied() !== undefined || isOldest) {
        await this.keepOnly(path);
        return backend;
      }
      await backend.close();
    }
    const path = pathOf(1);
    await this.#disk.makeFolder(path);
    await this.#disk.syncFolder(STORE_FOLDER);
    return opener.open(path);
  }

  /** Makes the folder for the next store. @returns its path */
  async newPath(): Promise<string> {
    const numbers = await this.#numbers();
    const path = pathOf((numbers.at(-1) ?? 0) + 1);
    await this.#disk.makeFolder(path);
    await this.#disk.syncFolder(STORE_FOLDER);
    return path;
  }

  async remove(path: string): Promise<void> {
    await this.#disk.remove(path);
    await this.#disk.syncFolder(STORE_FOLDER);
  }

  async keepOnly(path: string): Promise<void> {
    for (const number of await this.#numbers()) {
      if (pathOf(number) !== path) await this.#disk.remove(pathOf(number));
    }
    await this.#disk.syncFolder(STORE_FOLDER);
  }

  async #numbers(): Promise<number[]> {
    if (!(await this.#disk.exists(STORE_FOLDER))) {
      await this.#disk.makeFolder(STORE_FOLDER);
      return [];
    }
    const names = await this.#disk.list(STORE_FOLDER);
    const stray = names.find((name) => !/^[1-9]\d{0,8}$/.test(name));
    if (stray !== undefined) {
      const detail = `unknown entry ${stray} in the store's folder`;
      throw new EngineError({code: 'dataDirUnusable', path: STORE_FOLDER, detail});
    }
    return names.map(Number).sort((a, b) => a - b);
  }
}

const pathOf = (number: number) => `${STORE_FOLDER}/${number}`;
