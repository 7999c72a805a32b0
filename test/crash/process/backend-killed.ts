/**
 * A world for the Backend's contract on real disks: each store that a test opens for the first time has lived under
 * a process that was killed over it, at a moment drawn by seed: while it opened it, committed or defragmented. What is
 * found is held against what that process has told, and taken out again: the test begins with an empty store.
 */

import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {open, readFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Backend, BackendOpener} from '../../../src/engine/ports.ts';
import type {BackendWorld} from '../../contract/backend.contract.ts';
import {runAndKill} from '../../contract/killed-process.ts';
import {checkNumberedImage, clearNumbered} from '../../contract/numbered-batches.ts';
import type {SeededRandom} from '../../simulator/seeded-random.ts';

/** Lines of a process that has committed until it defragments, and a while more than it needs to open a store. */
const LINES = 30;
const MORE_MS = 40;

export interface KilledWorldOptions {
  readonly random: SeededRandom;
  /** The compiled backend-kill-child.ts. */
  readonly program: string;
  readonly openerOf: (root: string) => BackendOpener;
  /** Of each killed process: the batch that its store is at. */
  readonly onKilled: (number: number) => void;
}

export async function makeKilledWorld(options: KilledWorldOptions): Promise<BackendWorld> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-backend-killed-'));
  const opener = options.openerOf(root);
  const opened = new Set<string>();
  return {
    open: async (path) => {
      const isFirst = !opened.has(path);
      opened.add(path);
      if (!isFirst) return opener.open(path);
      const folder = join(root, path);
      const {random} = options;
      const afterLines = random.below(3) === 0 ? 1 : 2 + random.below(LINES);
      const afterMs = random.below(MORE_MS);
      const told = await runAndKill({...options, folder, isMarked: false, afterLines, afterMs});
      const backend = await opener.open(path);
      options.onKilled(await emptied(backend, told));
      return backend;
    },
    damage: async (path, {value}) => {
      const name = readdirSync(join(root, path)).find((entry) => entry.endsWith('.mdb'));
      if (name === undefined) throw new Error('no file to damage');
      const file = join(root, path, name);
      const at = (await readFile(file)).indexOf(value);
      const handle = await open(file, 'r+');
      await handle.write(Buffer.from([value[3] ^ 0x10]), 0, 1, at + 3);
      await handle.close();
    },
    stop: async () => rmSync(root, {recursive: true, force: true}),
  };
}

/** @returns the batch that it was at */
async function emptied(backend: Backend, told: readonly number[]): Promise<number> {
  const number = checkNumberedImage(backend, {isMarked: false});
  const last = told.at(-1) ?? 0;
  // A commit may have become durable without anybody having been told.
  if (number !== last && number !== last + 1) throw new Error(`it is at ${number}, and told of ${last}`);
  await clearNumbered(backend, number);
  return number;
}
