/** CI's share of fuzzing: some thousand broken inputs for every decoder; `npm run fuzz` goes on for as long as asked. */

import {describe, expect, it} from 'vitest';
import {allTargets} from './all-targets.ts';
import {fuzzTarget} from './fuzz-run.ts';
import type {FuzzTarget} from './fuzz-target.ts';
import {portTarget} from './port-target.ts';

const INPUTS = 3_000;
const PORT_INPUTS = 60;
const FOR_MS = 1_500;

const targets = await allTargets();

describe('broken input', () => {
  it.each(targets.map((target): [string, FuzzTarget] => [target.name, target]))(
    'Ensure that %s is taken or refused as it must be, and soon.',
    async (_, target) => {
      const report = await fuzzTarget(target, {seed: 1, forMs: FOR_MS, inputsMax: INPUTS});
      expect(report.failure).toBeUndefined();
      expect(report.inputs).toBeGreaterThanOrEqual(200);
    },
  );

  it('Ensure that a port that is sent anything goes on serving others.', async () => {
    const port = await portTarget();
    try {
      const report = await fuzzTarget(port.target, {seed: 1, forMs: 20_000, inputsMax: PORT_INPUTS});
      expect(report.failure).toBeUndefined();
      expect(report.inputs).toBe(PORT_INPUTS);
    } finally {
      port.stop();
    }
  });

  it('Ensure that the fuzzer notices a wrong kind of error.', async () => {
    const target: FuzzTarget = {
      name: 'broken on purpose',
      samples: [Buffer.from('right')],
      run: (bytes) => {
        if (bytes.toString() !== 'right') throw new TypeError('not documented');
      },
      isRefusal: (error) => error instanceof RangeError,
    };
    const {failure} = await fuzzTarget(target, {seed: 1, forMs: FOR_MS, inputsMax: 100});
    expect(failure).toContain('not documented');
  });
});
