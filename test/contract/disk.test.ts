/** The Disk contract, on the machine's disk and on the simulated one. */

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll} from 'vitest';
import {NodeDisk} from '../../src/engine/io/disk.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import {describeDisk} from './disk.contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvd-disk-'));
let count = 0;

afterAll(() => rmSync(folder, {recursive: true, force: true}));

describeDisk('the machine', async () => {
  count += 1;
  const disk = new NodeDisk(join(folder, `a/b/${count}`));
  await disk.makeFolder('.');
  return disk;
});

describeDisk('the simulator', async () => new MemoryDisk());
