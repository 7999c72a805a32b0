/**
 * A world for the Backend's contract on real disks: each store that a test opens for the first time has been opened
 * and used by a process that was killed over it, at a moment drawn by seed, before anything of it was durable.
 */

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {open, readFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {LmdbBackendOpener} from '../../../src/engine/io/lmdb-backend.ts';
import type {BackendWorld} from '../../contract/backend.contract.ts';
import type {SeededRandom} from '../../simulator/seeded-random.ts';

const projectRoot = resolve(import.meta.dirname, '../../..');
/** Longer than the process needs to open a store, on a busy machine too. */
const OPENING_MS = 60;

export async function makeKilledWorld(random: SeededRandom): Promise<BackendWorld> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-backend-killed-'));
  const opener = new LmdbBackendOpener(root);
  const opened = new Set<string>();
  return {
    open: async (path) => {
      if (!opened.has(path)) await openAndKill(root, path, random.below(OPENING_MS));
      opened.add(path);
      return opener.open(path);
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

/** @param afterMs counted from when the process has its program and begins to open the store */
async function openAndKill(root: string, path: string, afterMs: number): Promise<void> {
  const built = join(projectRoot, 'dist/engine/io/lmdb-backend.js');
  const program =
    `const {LmdbBackendOpener} = await import(${JSON.stringify(`file://${built}`)});` +
    `process.stdout.write('opens\\n'); await new LmdbBackendOpener(process.argv[1]).open(process.argv[2]);` +
    'setInterval(() => undefined, 1000);';
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, root, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  await new Promise((done) => setTimeout(done, afterMs));
  child.kill('SIGKILL');
  await closed;
}
