/** Faults of processes and machines: ends of every kind, pauses, a second start, and clocks that are wrong. */

import {anyCrash, keepUnsynced, loseUnsynced} from '../memory-disk.ts';
import type {SeededRandom} from '../seeded-random.ts';
import type {SimulatedMember} from '../simulated-member.ts';
import type {FaultScene, ProcessFault, Stroke} from './fault-kinds.ts';

const WALL_SKEW_MS_MAX = 10 * 60_000;

/** @returns whether there was anything to strike; one that takes its time tells the scene */
export function strikeProcess(kind: ProcessFault, scene: FaultScene, {member, ms}: Stroke): boolean {
  const {random, clockRateMax} = scene;
  switch (kind) {
    case 'kill':
      if (!member.isUp) return false;
      member.kill({landed: random.below(2) === 0});
      return true;
    case 'power':
      return losePower(random, member);
    case 'crashAtDisk':
      member.crashAfterOperations = random.below(random.below(2) === 0 ? 5 : 60);
      member.onArmedCrash = () => {
        if (!member.isUp) return;
        if (random.below(2) === 0) member.kill({landed: random.below(2) === 0});
        else losePower(random, member);
      };
      return true;
    case 'stop':
      if (member.replica === undefined || member.life?.isStopping === true) return false;
      void member.stop();
      return true;
    case 'pause': {
      const {life} = member;
      if (life === undefined) return false;
      life.clock.pause();
      scene.later(ms, () => life.clock.resume());
      return true;
    }
    case 'secondStart':
      member.startSecond().then(
        (found) => {
          if (found === 'refused') scene.struck('secondStart');
          if (found === 'opened')
            scene.violate('one process', `${member.name} could be started a second time`);
        },
        (error: unknown) => scene.onAssertion(error),
      );
      return false;
    case 'clockRate':
      member.setClockRate(1 + ((random.below(2_001) - 1_000) / 1_000) * (clockRateMax - 1));
      return true;
    case 'clockJump': {
      const skewMs = random.below(2 * WALL_SKEW_MS_MAX) - WALL_SKEW_MS_MAX;
      member.setWallSkewMs(skewMs);
      // Back again, so that it also jumps while a measurement is under way.
      if (random.below(2) === 0) scene.later(ms, () => member.setWallSkewMs(0));
      return true;
    }
    case 'lateApply': {
      const {electionTimeoutMs} = member.config;
      member.lateWork.isApplyingLate = true;
      // Long enough for an election meanwhile.
      const lateMs = electionTimeoutMs / 2 + random.below(2 * electionTimeoutMs);
      scene.later(lateMs, () => (member.lateWork.isApplyingLate = false));
      return true;
    }
    case 'lateSweep':
      sweepLate(scene, member, ms);
      return true;
  }
}

/** What was not synced may be lost, or torn. */
export function losePower(random: SeededRandom, member: SimulatedMember): boolean {
  if (!member.isUp) return false;
  const choices = [loseUnsynced, keepUnsynced, anyCrash(random), anyCrash(random)][random.below(4)];
  member.losePower(choices, {landed: random.below(2) === 0});
  return true;
}

/** Something is compacted that this member does not delete; its hashes are the others' all the same. */
function sweepLate(scene: FaultScene, member: SimulatedMember, ms: number): void {
  member.lateWork.isSweepingLate = true;
  const {life} = member;
  const {server} = life ?? {};
  if (life?.isStopping === false && server !== undefined) {
    const revision = Math.max(1, server.header().revision - scene.random.below(10));
    life.clock.enter(() => server.compact({revision, physical: false}).catch(scene.onAssertion));
  }
  scene.later(ms / 2, () => scene.askHashes());
  scene.later(ms, () => (member.lateWork.isSweepingLate = false));
}
