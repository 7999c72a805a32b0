/**
 * The store's place in the data dir: `store/<number>/`. A snapshot from another member fills the next number; it
 * counts from the moment its backend carries an applied mark, which is written with its last record. Every whole
 * store is a state that was committed, so the one that is furthest is the member's.
 */

import {EngineError} from '../errors.ts';
import type {Backend, BackendOpener, Disk} from '../ports.ts';
import type {Index} from '../types.ts';
import {STORE_FOLDER} from './data-dir.ts';

export class StoreFolder {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * Opens the whole store that is furthest, or a fresh first one; others are removed. Mostly there is one. A crash
   * may leave another member's image that was complete, but behind what the log brought meanwhile.
   */
  async open(opener: BackendOpener): Promise<Backend> {
    let best: {readonly path: string; readonly backend: Backend; readonly index: Index} | undefined;
    for (const number of await this.#numbers()) {
      const path = pathOf(number);
      const backend = await opener.open(path);
      const index = backend.applied()?.index ?? 0;
      if (best !== undefined && index <= best.index) {
        await backend.close();
        continue;
      }
      await best?.backend.close();
      best = {path, backend, index};
    }
    if (best !== undefined) {
      await this.keepOnly(best.path);
      return best.backend;
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
      // Else a power failure may take the whole store away, long after the log has been cut by what it holds.
      await this.#disk.syncFolder('.');
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
