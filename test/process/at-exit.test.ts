/** Long runs that are broken off leave nothing behind: no server, no mount, no folder. */

import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {eventually} from './eventually.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** A cluster as the differential run has two of, and nothing that asks it. */
const CLUSTER = `
  import {ProcessCluster} from './test/process/process-cluster.ts';
  await ProcessCluster.start({program: 'kvd', size: 1});
  setInterval(() => {}, 1_000);`;
const START_MS = 60_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvd-at-exit-'));
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

function run(args: readonly string[], temporary: string): ChildProcess {
  mkdirSync(temporary);
  const env = {...process.env, TMPDIR: temporary};
  return spawn(process.execPath, ['--import', 'tsx', ...args], {cwd: ROOT, env, stdio: 'ignore'});
}

/** Ids of the processes that were started with a path below. */
function processesIn(path: string): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(`${path}/`);
    } catch {
      // It has ended.
      return false;
    }
  });
}

describe('runs that are broken off', () => {
  it.each([
    ['chaos', 'SIGTERM', ['test/process/chaos/run.ts'], 3],
    ['cluster', 'SIGINT', ['--input-type=module', '-e', CLUSTER], 1],
    ['cluster', 'SIGHUP', ['--input-type=module', '-e', CLUSTER], 1],
  ] as const)(
    'Ensure that a run of %s leaves nothing behind after %s.',
    async (name, signal, args, members) => {
      const temporary = join(folder, `${name}-${signal}`);
      const child = run(args, temporary);
      const ended = once(child, 'exit');
      try {
        const areThere = () => processesIn(temporary).length >= members;
        await eventually(areThere, {timeoutMs: START_MS, what: 'all members'});
      } finally {
        child.kill(signal);
      }
      const [code] = await ended;
      expect(code).toBe({SIGHUP: 129, SIGINT: 130, SIGTERM: 143}[signal]);
      await eventually(() => processesIn(temporary).length === 0, {what: 'the end of all members'});
      expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(temporary);
      expect(readdirSync(temporary).filter((one) => /^kvd-c/.test(one))).toEqual([]);
    },
  );
});
