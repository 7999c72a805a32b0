/**
 * CI's share of the simulator: a thousand seeds on every core, and that campaigns add up, repeat themselves, and hear
 * their canary. The seeds are always the same: what they find is new only where engine or simulator are.
 */

import {spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {FAULT_KINDS} from '../faults/fault-kinds.ts';
import type {CampaignSums} from './campaign-sums.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const SHARE_FIRST = 30_001;
const SHARE_SEEDS = 1_000;
const SHARE_OPERATIONS = 1_000;
/** Two cores need two to four. */
const SHARE_MINUTES_MAX = 9;
const FAULTS_MIN = 20;
/** What must be reached over and over, though no kind of fault says so: how often, over the whole share. */
const REACHED_MIN: Readonly<Record<string, number>> = {
  'configuration of 1 voters': 500,
  'configuration of 7 voters': 200,
  'configuration with learners': 1_000,
  'joint configuration, 1 voters come or go': 200,
  'joint configuration, 2 voters come or go': 150,
  'joint configuration, 3 voters come or go': 20,
  'all lose power, and a file rots': 8,
  'says: leaves the joint configuration': 150,
  'says: tells the transferee to campaign': 150,
  'says: installed a snapshot': 200,
  'says: finished compaction': 1_000,
  'says: store defragmented': 500,
  'says: applying waits: the store is behind the log': 100,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvd-campaign-'));
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

async function campaign(
  name: string,
  flags: readonly string[],
  breakOff?: NodeJS.Signals,
): Promise<{sums: CampaignSums; output: string}> {
  const results = join(folder, `${name}.json`);
  const args = ['scripts/simulator.js', 'campaign', '--results', results, ...flags];
  const child = spawn(process.execPath, args, {cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe']});
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      output += bytes;
      if (breakOff !== undefined && output.includes('canary was caught')) child.kill(breakOff);
    });
  const code = await new Promise((done) => child.once('close', done));
  if (code !== 0) throw new Error(`the campaign ended with ${code}:\n${output.slice(-8_000)}`);
  return {sums: JSON.parse(readFileSync(results, 'utf8')), output};
}

describe('campaigns', () => {
  it('Ensure that a campaign goes on behind the last one on the same engine, and adds up.', {
    timeout: 240_000,
  }, async () => {
    const flags = ['--seeds', '3', '--operations', '40', '--workers', '2'];
    const first = await campaign('small', [...flags, '--first', '49', '--simulator', 'old']);
    expect(first.sums).toMatchObject({seeds: 3, nextSeed: 52, repeated: 1, differing: 0, canariesCaught: 1});
    expect(first.output).toContain('| seeds | 3 |');
    const second = await campaign('small', [...flags, '--simulator', 'new']);
    expect(second.sums).toMatchObject({seeds: 6, nextSeed: 55, campaigns: 2, canariesCaught: 2});
    expect(second.sums.operations).toBeGreaterThanOrEqual(first.sums.operations + 120);
    expect(second.sums.simulators).toMatchObject([
      {simulator: 'old', seeds: 3, operations: first.sums.operations},
      {simulator: 'new', seeds: 3, operations: second.sums.operations - first.sums.operations},
    ]);
    expect(second.output).toMatch(/\| simulators \| `old`: 3 seeds, .*; `new`: 3 seeds, /);
    const seen = {seed: 50, operations: 40, step: 7, invariant: 'liveness', detail: 'too slow'};
    const doubted = {...second.sums, violations: [{...seen, simulator: 'old'}]};
    writeFileSync(join(folder, 'small.json'), JSON.stringify(doubted));
    const third = await campaign('small', [...flags, '--simulator', 'newest']);
    expect(third.sums).toMatchObject({
      seeds: 9,
      violations: [],
      settled: [{...seen, simulator: 'old', settledBy: 'newest'}],
    });
    expect(third.output).toMatch(
      /Seen by an older simulator.*:\n\n- seed 50, step 7, simulator old: liveness: too slow \(settled by newest\)/,
    );
    const other = campaign('small', [...flags, '--engine', 'other']);
    await expect(other).rejects.toThrow('is of another engine');
    await expect(campaign('small', [...flags, '--first', '1'])).rejects.toThrow(
      /--first 1 comes too late: 9 seeds .*, the next is 58/,
    );
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'Ensure that a campaign that is broken off by %s keeps its sums.',
    {
      timeout: 240_000,
    },
    async (signal) => {
      const flags = ['--seeds', '1000000', '--minutes', '3', '--operations', '40', '--workers', '2'];
      const {sums, output} = await campaign(signal, flags, signal);
      expect(output).toContain('broken off');
      expect(output).toContain(`this campaign: ${sums.seeds} seeds, `);
      expect(sums).toMatchObject({campaigns: 1, canariesCaught: 1, violations: []});
    },
  );

  it('Ensure that a thousand seeds keep every promise, each under its faults.', {
    timeout: 1_800_000,
  }, async () => {
    const seeds = [
      '--first',
      `${SHARE_FIRST}`,
      '--seeds',
      `${SHARE_SEEDS}`,
      '--minutes',
      `${SHARE_MINUTES_MAX}`,
    ];
    const {sums} = await campaign('share', [...seeds, '--operations', `${SHARE_OPERATIONS}`]);
    expect(sums).toMatchObject({seeds: SHARE_SEEDS, violations: [], differing: 0, canariesCaught: 1});
    expect(sums.operations).toBeGreaterThanOrEqual(SHARE_SEEDS * SHARE_OPERATIONS);
    expect(sums.faultsMin).toBeGreaterThanOrEqual(FAULTS_MIN);
    for (const [point, least] of Object.entries(REACHED_MIN))
      expect(sums.reached[point] ?? 0, point).toBeGreaterThan(least);
    expect(sums.expiredLeases).toBeGreaterThan(SHARE_SEEDS);
    expect(sums.memberChanges).toBeGreaterThan(SHARE_SEEDS / 10);
    expect(sums.answered).toBeGreaterThan(sums.operations / 3);
    // What nobody could decide was not shown to be right.
    expect(sums.undecidedParts).toBeLessThan(SHARE_SEEDS / 100);
    // The very last one may find no second process any more.
    expect(sums.repeated).toBeGreaterThanOrEqual(SHARE_SEEDS / 50 - 1);
    for (const kind of FAULT_KINDS) expect(sums.faults[kind], kind).toBeGreaterThan(SHARE_SEEDS / 20);
    expect(sums.overlapping).toBeGreaterThan(SHARE_SEEDS / 2);
  });
});
