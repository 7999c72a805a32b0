/** CI's share of the random differential run; `npm run differential` is the same without bounds. */

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, it} from 'vitest';
import {freePorts} from '../../process/free-ports.ts';
import {MemberProcess} from '../../process/member-process.ts';
import {ProcessCluster} from '../../process/process-cluster.ts';
import {lostAlike, runDifferential} from './differential-run.ts';
import {Player} from './player.ts';
import {randomOperation} from './random-operation.ts';
import {shrink} from './shrink.ts';

/** A minute and a half of it, on two cores. */
const OPERATIONS = 200_000;
/** Busier ones take longer. */
const TIMEOUT_MS = 900_000;

const numbersTo = (count: number): number[] => Array.from({length: count}, (_, number) => number);

describe('random operations', () => {
  it(
    `Ensure that ${OPERATIONS} of them get the same answers, events and hashes from etcd and from kvd.`,
    async () => {
      expect(await runDifferential({seed: 1, members: 1, numbers: numbersTo(OPERATIONS)})).toBeUndefined();
    },
    TIMEOUT_MS,
  );

  it('Ensure that clusters of three answer alike, whichever member is asked.', async () => {
    expect(await runDifferential({seed: 2, members: 3, numbers: numbersTo(4_000)})).toBeUndefined();
  });

  it('Ensure that two servers that are gone are not taken to agree.', async () => {
    const [clientPort, peerPort] = await freePorts(2);
    const nobody = {program: 'kvd', name: 'm', clientPort, peerPort, initialCluster: ''} as const;
    const folder = mkdtempSync(join(tmpdir(), 'kvd-nobody-'));
    const player = new Player(new ProcessCluster(folder, [new MemberProcess({...nobody, folder})]));
    try {
      const part = numbersTo(20).map((number) => randomOperation(1, number));
      expect(lostAlike(part, [player, player])).toBeUndefined();
      await player.play(part);
      expect(lostAlike(part, [player, player])?.kvd).toBe('does not answer any more');
    } finally {
      player.close();
      rmSync(folder, {recursive: true, force: true});
    }
  });

  it('Ensure that a difference is shrunk to the operations that it needs.', async () => {
    let runs = 0;
    const fails = async (numbers: readonly number[]) => {
      runs++;
      return numbers.includes(411) && numbers.includes(873);
    };
    const untilMs = Number.POSITIVE_INFINITY;
    expect(await shrink(numbersTo(1_000), {fails, untilMs})).toEqual([411, 873]);
    expect(runs).toBeLessThan(200);
  });
});
