/** CI's share of fuzzing: some thousand broken inputs for every decoder; `npm run fuzz` goes on for as long as asked. */

import {afterAll, describe, expect, it} from 'vitest';
import {allTargets} from './all-targets.ts';
import {fuzzTarget} from './fuzz-run.ts';
import {BrokenPromise, type FuzzTarget, promiseSame} from './fuzz-target.ts';
import {portTargets} from './port-targets.ts';

const INPUTS = 1_000;
/** For those that open a whole log, restore a file or look at long texts. */
const INPUTS_OF_SLOW = 200;
const PORT_INPUTS = 60;
/** Far more than all inputs need: who needs more than that has become slow. */
const FOR_CPU_MS = 8_000;

const targets = await allTargets();
const ports = await portTargets();
afterAll(() => ports.stop());

const named = (list: readonly FuzzTarget[]) =>
  list.map((target): [string, FuzzTarget] => [target.name, target]);

describe('broken input', () => {
  it.each(named(targets))(
    'Ensure that %s is taken or refused as it must be, and soon.',
    async (_, target) => {
      const report = await fuzzTarget(target, {seed: 1, forCpuMs: FOR_CPU_MS, inputsMax: inputsOf(target)});
      expect(report.failure).toBeUndefined();
      expect(report.inputs).toBe(inputsOf(target));
      // Something must be refused or taken behind a checksum: else the inputs are all of one kind.
      expect(report.refused).toBeLessThan(report.inputs);
    },
  );

  it.each(named(ports.targets))(
    'Ensure that a port that is sent anything (%s) goes on serving others.',
    async (_, target) => {
      const report = await fuzzTarget(target, {seed: 1, forCpuMs: 60_000, inputsMax: PORT_INPUTS});
      expect(report.failure).toBeUndefined();
      expect(report.inputs).toBe(PORT_INPUTS);
    },
  );

  it('Ensure that the fuzzer notices a wrong kind of error, a broken promise, and who takes long.', async () => {
    const run = async (broken: () => void): Promise<string> => {
      const target: FuzzTarget = {
        name: 'broken on purpose',
        samples: [Buffer.from('right')],
        run: (bytes) => (bytes.toString() === 'right' ? undefined : broken()),
        isRefusal: (error) => error instanceof RangeError,
      };
      const {failure} = await fuzzTarget(target, {seed: 1, forCpuMs: FOR_CPU_MS, inputsMax: 100});
      return failure ?? 'nothing';
    };
    const wrongKind = await run(() => {
      throw new TypeError('not documented');
    });
    expect(wrongKind).toContain('not documented');
    expect(await run(() => promiseSame(1, 2))).toContain('2 became 1');
    const longUntil = () => process.cpuUsage().user + 2_500_000;
    const slow = await run(() => {
      for (const until = longUntil(); process.cpuUsage().user < until; );
    });
    expect(slow).toContain('ms of CPU');
    const refused = await run(() => {
      throw new RangeError('documented');
    });
    expect(refused).toBe('nothing');
    expect(new BrokenPromise('x')).not.toBeInstanceOf(RangeError);
  });
});

function inputsOf({name}: FuzzTarget): number {
  const isSlow = /^(wal-(first|last|batches)|snapshot-|command-|environment|config-file|quotes)/.test(name);
  return isSlow ? INPUTS_OF_SLOW : INPUTS;
}
