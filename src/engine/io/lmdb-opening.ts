/**
 * LMDB trusts its file: damage in a page can take the process down before it says anything. So a note stands beside
 * the file from before it is opened until the member has read it and commits to it. A start that finds one knows
 * that the last one may have died of the file, and lets a process of its own read it first.
 */

import {once} from 'node:events';
import {existsSync} from 'node:fs';
import * as fs from 'node:fs/promises';
import {join} from 'node:path';
import {EngineError} from '../errors.ts';
import {startChild} from './lmdb-export.ts';
import type {ExportMessage} from './lmdb-export-child.ts';

const NOTE = 'opening';

export class OpeningNote {
  readonly #path: string;
  #isThere = false;

  /** @param folder the backend's */
  constructor(folder: string) {
    this.#path = join(folder, NOTE);
  }

  /**
   * Before `file` is opened.
   * @throws EngineError storeCorrupt when the last start left its note and the file cannot be read; then it stays
   */
  async put(file: string): Promise<void> {
    if (existsSync(this.#path)) await check(file);
    // A process that dies leaves it in the system's cache: it needs no sync. Nor does a start depend on room for it.
    else await fs.writeFile(this.#path, '', {mode: 0o600}).catch(() => undefined);
    this.#isThere = true;
  }

  /** The file has been read. */
  async remove(): Promise<void> {
    if (!this.#isThere) return;
    this.#isThere = false;
    // Left behind it costs the next start a check.
    await fs.rm(this.#path, {force: true}).catch(() => undefined);
  }
}

/** Reads the whole file in a process of its own. */
async function check(file: string): Promise<void> {
  const child = startChild(file, 'check');
  let failure: EngineError | undefined;
  child.on('message', (message: ExportMessage) => {
    if (message.type === 'failed') failure = new EngineError(message.failure);
  });
  child.stdout?.resume();
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (failure !== undefined) throw failure;
  if (signal !== null) {
    throw new EngineError({
      code: 'storeCorrupt',
      path: file,
      detail: `reading it ends the process by ${signal}`,
    });
  }
  if (code !== 0) {
    throw new EngineError({code: 'diskError', path: file, operation: 'check', detail: `exit code ${code}`});
  }
}
