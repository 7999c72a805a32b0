/** The log on the machine's disk, its process killed again and again while it writes. */

import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, expect, it} from 'vitest';
import {NodeDisk} from '../../../src/engine/io/disk.ts';
import {openWal} from './wal-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'kvd-wal-'));

afterAll(() => rmSync(root, {recursive: true, force: true}));

/** @returns the last index that the process told before it was killed */
function writeUntilKilled(indexes: number): Promise<number> {
  const program = join(import.meta.dirname, 'writer.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  let lines = 0;
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      told += chunk.toString();
      lines = told.split('\n').length - 1;
      if (lines >= indexes) child.kill('SIGKILL');
    });
    // `close`: what it had told is read to the end.
    child.once('close', () => {
      if (lines === 0) reject(new Error('it ended before it told anything'));
      else resolve(Number(told.slice(0, told.lastIndexOf('\n')).split('\n').at(-1)));
    });
  });
}

it('Ensure that every entry told durable is there after kill -9, in order and unchanged.', async () => {
  let before = 0;
  for (const indexes of [60, 150]) {
    const told = await writeUntilKilled(indexes);
    expect(told).toBeGreaterThan(before);
    const {wal, contents} = await openWal(new NodeDisk(root));
    expect(contents.entries.length).toBeGreaterThanOrEqual(told);
    expect(contents.entries.every(({index}, i) => index === i + 1)).toBe(true);
    expect(contents.doubtfulIndex).toBe(0);
    expect(contents.cleanStop).toBe(false);
    await wal.close();
    before = contents.entries.length;
  }
});
