/** Long runs that are broken off leave nothing behind: no server, no mount, no folder. */

import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {constants, tmpdir} from 'node:os';
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

/** As it is documented: neither npm nor a loader may stand between the signal and who ends the servers. */
const CHAOS = ['npm', 'run', '--silent', 'chaos'];
const CLUSTER_ALONE = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', CLUSTER];

function run([command, ...args]: readonly string[], temporary: string): ChildProcess {
  mkdirSync(temporary);
  const env = {...process.env, TMPDIR: temporary};
  return spawn(command, args, {cwd: ROOT, env, stdio: 'ignore'});
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
    ['chaos', 'SIGTERM', CHAOS, 3],
    ['cluster', 'SIGINT', CLUSTER_ALONE, 1],
    ['cluster', 'SIGHUP', CLUSTER_ALONE, 1],
  ] as const)(
    'Ensure that a run of %s leaves nothing behind after %s.',
    async (name, signal, words, members) => {
      const temporary = join(folder, `${name}-${signal}`);
      const child = run(words, temporary);
      const ended = once(child, 'exit');
      try {
        const areThere = () => processesIn(temporary).length >= members;
        await eventually(areThere, {timeoutMs: START_MS, what: 'all members'});
      } finally {
        child.kill(signal);
      }
      const [code, endedBy] = await ended;
      // As a shell tells it, where npm ends of the signal itself.
      expect(code ?? 128 + constants.signals[endedBy as NodeJS.Signals]).toBe(
        128 + constants.signals[signal],
      );
      await eventually(() => processesIn(temporary).length === 0, {what: 'the end of all members'});
      expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(temporary);
      expect(readdirSync(temporary).filter((one) => /^kvd-c/.test(one))).toEqual([]);
    },
  );
});
