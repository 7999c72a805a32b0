/**
 * The same command lines through Debian's etcdctl and through kvd, each against a real etcd of its own: exit codes
 * are equal, and so is the standard output but for ids and what `command-cases.ts` names.
 */

import {type SpawnSyncReturns, spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {freePorts} from '../process/free-ports.ts';
import {MemberProcess} from '../process/member-process.ts';
import {COMMAND_CASES, type CommandCase} from './command-cases.ts';

const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const folder = mkdtempSync(join(tmpdir(), 'kvd-commands-'));
const servers: MemberProcess[] = [];

beforeAll(async () => {
  for (const name of ['one', 'two']) {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const initialCluster = `default=http://127.0.0.1:${peerPort}`;
    const options = {
      program: 'etcd',
      folder: join(folder, name),
      clientPort,
      peerPort,
      initialCluster,
    } as const;
    const server = new MemberProcess({...options, name: 'default'});
    servers.push(server);
    await server.start();
  }
});

afterAll(async () => {
  for (const server of servers) await server.kill();
  rmSync(folder, {recursive: true, force: true});
});

function runCase(command: readonly string[], server: MemberProcess, {args, input, environment}: CommandCase) {
  const [program = '', ...first] = command;
  const {PATH = ''} = process.env;
  return spawnSync(program, [...first, '--endpoints', server.endpoint, ...args], {
    input: input ?? '',
    env: {PATH, ETCDCTL_API: '3', ...environment},
    timeout: 30_000,
  });
}

/** Ids, ports, log positions and sizes (the file grows when its owner writes it) replaced by what they are. */
function anonymous({stdout}: SpawnSyncReturns<Buffer>): string {
  return stdout
    .toString('latin1')
    .replace(/"(cluster_id|member_id|ClusterID|MemberID|ID|id|leader|Leader)"( ?): ?\d+/g, '"$1"$2:<id>')
    .replace(/"(raftIndex|raftAppliedIndex)":\d+/g, '"$1":<index>')
    .replace(/"(dbSize|dbSizeInUse)":\d+/g, '"$1":<size>')
    .replace(/\b[0-9a-f]{15,16}\b/g, '<id>')
    .replace(/127\.0\.0\.1:\d+/g, '<address>');
}

describe('commands against etcd', () => {
  it.each(COMMAND_CASES.map((one) => [`${one.args.join(' ')}`, one] as const))(
    'Ensure that %s does the same through etcdctl and kvd.',
    (_, one) => {
      const theirs = runCase(['etcdctl'], servers[0] as MemberProcess, one);
      const ours = runCase([process.execPath, KVD], servers[1] as MemberProcess, one);
      expect({exit: ours.status, error: ours.status === theirs.status ? '' : ours.stderr.toString()}).toEqual(
        {
          exit: theirs.status,
          error: '',
        },
      );
      if (one.differs === undefined) expect(anonymous(ours)).toBe(anonymous(theirs));
    },
  );
});
