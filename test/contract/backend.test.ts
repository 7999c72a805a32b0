/** The Backend contract on LMDB and in memory. */

import {mkdtemp, open, readdir, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {assert} from '../../src/engine/errors.ts';
import {NodeClock} from '../../src/engine/io/clock.ts';
import {LmdbBackendOpener} from '../../src/engine/io/lmdb-backend.ts';
import {MemoryBackendDisk} from '../simulator/memory-backend.ts';
import {type BackendWorld, describeBackend} from './backend.contract.ts';

async function makeLmdbWorld(): Promise<BackendWorld> {
  const root = await mkdtemp(join(tmpdir(), 'kvd-backend-'));
  const opener = new LmdbBackendOpener(root);
  return {
    open: (path) => opener.open(path),
    damage: async (path, {value}) => {
      const name = (await readdir(join(root, path))).find((entry) => entry.endsWith('.mdb'));
      assert(name !== undefined, 'no file to damage');
      const file = join(root, path, name);
      const at = (await readFile(file)).indexOf(value);
      assert(at >= 0, 'the value is not in the file');
      const handle = await open(file, 'r+');
      await handle.write(Buffer.from([value[3] ^ 0x10]), 0, 1, at + 3);
      await handle.close();
    },
    stop: () => rm(root, {recursive: true, force: true}),
  };
}

async function makeMemoryWorld(): Promise<BackendWorld> {
  const disk = new MemoryBackendDisk({clock: new NodeClock()});
  return {
    open: (path) => disk.open(path),
    damage: async (path, {table, key}) => disk.damage(path, table, key),
    stop: async () => undefined,
  };
}

describeBackend('LMDB', makeLmdbWorld);
describeBackend('memory', makeMemoryWorld);
