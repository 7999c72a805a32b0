/** Campaigns in processes of their own: that they add up, repeat themselves, and hear their canary. */

import {spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {CampaignSums} from './campaign-sums.ts';

const ROOT = resolve(import.meta.dirname, '../../..');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvd-campaign-'));
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

async function campaign(
  name: string,
  flags: readonly string[],
): Promise<{sums: CampaignSums; output: string}> {
  const results = join(folder, `${name}.json`);
  const args = ['scripts/simulator.js', 'campaign', '--results', results, ...flags];
  const child = spawn(process.execPath, args, {cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe']});
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const code = await new Promise((done) => child.once('close', done));
  if (code !== 0) throw new Error(`the campaign ended with ${code}:\n${output.slice(-8_000)}`);
  return {sums: JSON.parse(readFileSync(results, 'utf8')), output};
}

describe('campaigns', () => {
  it('Ensure that a campaign goes on behind the last one on the same engine, and adds up.', {
    timeout: 120_000,
  }, async () => {
    const flags = ['--first', '49', '--seeds', '3', '--operations', '40', '--workers', '2'];
    const first = await campaign('small', flags);
    expect(first.sums).toMatchObject({seeds: 3, nextSeed: 52, repeated: 1, differing: 0, canariesCaught: 1});
    expect(first.output).toContain('| seeds | 3 |');
    const second = await campaign('small', flags);
    expect(second.sums).toMatchObject({seeds: 6, nextSeed: 55, campaigns: 2, canariesCaught: 2});
    expect(second.sums.operations).toBeGreaterThanOrEqual(first.sums.operations + 120);
  });
});
