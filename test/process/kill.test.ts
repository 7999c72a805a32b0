/**
 * Three real members under load, killed with -9 again and again: nothing acknowledged is lost, all members stay
 * equal, and writes come back soon after a leader is gone.
 */

import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {leaderOf, membersAgree, missingWrites} from './agreement.ts';
import {ProcessCluster} from './process-cluster.ts';
import {timeToWrite, WriteLoad} from './write-load.ts';

const ROUNDS = Number(process.env.KVD_KILL_ROUNDS ?? 20);
const ELECTION_TIMEOUT_MS = 1_000;
const CLIENTS = 16;
const PREFIX = 'load/';

let cluster: ProcessCluster;
let load: WriteLoad;

beforeAll(async () => {
  cluster = await ProcessCluster.start({program: 'kvd', size: 3});
  const endpoints = cluster.members.map(({endpoint}) => endpoint);
  load = new WriteLoad({endpoints, clients: CLIENTS, prefix: PREFIX});
  load.start();
});

afterAll(async () => {
  await load?.stop();
  await cluster?.destroy();
});

describe('kill -9 under load', () => {
  it('Ensure that no acknowledged write is lost, whoever is killed, and that writes resume soon.', async () => {
    const resumedMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const leader = await leaderOf(cluster.members);
      const kind = round % 3;
      if (kind === 2) {
        await cluster.killAll();
        for (const member of cluster.members) member.spawn();
      } else {
        const victim = kind === 0 ? leader : cluster.members.find((member) => member !== leader);
        await victim?.kill();
        const survivors = cluster.members.filter((member) => member !== victim);
        const resumed = await timeToWrite(survivors.map(({endpoint}) => endpoint));
        if (kind === 0) resumedMs.push(resumed);
        victim?.spawn();
      }
      await Promise.all(cluster.members.map((member) => member.ready()));
    }
    await load.stop();
    expect(load.acknowledged.size).toBeGreaterThan(1_000);
    for (const member of cluster.members) {
      expect(await missingWrites(member.endpoint, PREFIX, load.acknowledged)).toEqual([]);
    }
    await membersAgree(cluster.members);
    const sorted = resumedMs.sort((a, b) => a - b);
    console.log(
      `writes resumed after ms: ${sorted.map(Math.round).join(' ')}; ${load.acknowledged.size} acknowledged`,
    );
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThanOrEqual(2 * ELECTION_TIMEOUT_MS);
    expect(sorted.at(-1)).toBeLessThanOrEqual(6 * ELECTION_TIMEOUT_MS);
  }, 300_000);
});
