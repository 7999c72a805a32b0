/**
 * Debian's etcdctl runs one script of several hundred invocations against Debian's etcd and against kvd, with one
 * member and with three; then kvd's own command line runs it against both. Exit codes, outputs and errors are equal
 * but for what the rules name.
 */

import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {Program} from '../process/member-process.ts';
import {commonFields} from './differential/common-fields.ts';
import {applyRules, COMMAND_RULES, transcript} from './differential/rules.ts';
import {type Answer, type CommandLine, runScript} from './differential/run-script.ts';
import {type NamedStep, script} from './differential/script.ts';
import {describeStep} from './differential/step.ts';
import {Subject} from './differential/subject.ts';

const RUN_TIMEOUT_MS = 280_000;

/** Answers by the name of the step. */
type Answers = ReadonlyMap<string, Answer>;

/** Names of the rules that changed something in any run. */
const used = new Set<string>();
/** What a later part compares with, too. */
let etcdctlOnEtcd: Answers = new Map();

const isAsked = ({isUsage = false}: NamedStep) => !isUsage;
const KVD_STEPS = script(1);
const KVD_ASKING_STEPS = KVD_STEPS.filter(isAsked);

async function run(
  program: Program,
  size: 1 | 3,
  {steps, commandLine}: {steps: readonly NamedStep[]; commandLine: CommandLine},
): Promise<Answers> {
  const subject = await Subject.start(program, size);
  try {
    return await runScript(subject, steps, commandLine);
  } finally {
    await subject.stop();
  }
}

/** The same script on both servers at the same time. */
async function runBoth(
  size: 1 | 3,
  {steps, commandLine}: {steps: readonly NamedStep[]; commandLine: CommandLine},
): Promise<{etcd: Answers; kvd: Answers}> {
  const [etcd, kvd] = await Promise.all([
    run('etcd', size, {steps, commandLine}),
    // Its own refusals are a matter of the command line alone.
    run('kvd', size, {steps: commandLine === 'kvd' ? steps.filter(isAsked) : steps, commandLine}),
  ]);
  return {etcd, kvd};
}

function ruled(step: NamedStep, answers: Answers): Answer {
  const line = describeStep(step);
  const answer = answers.get(step.name);
  if (answer === undefined) throw new Error(`${step.name} was not run`);
  return applyRules(COMMAND_RULES, answer, {line, used});
}

const described = (steps: readonly NamedStep[]) =>
  steps.map((step) => [`${step.name}: ${describeStep(step).slice(0, 160)}`, step] as const);

describe.each([
  [1, 'one member'],
  [3, 'three members'],
] as const)('etcdctl with %i', (size, members) => {
  const steps = size === 1 ? script(1) : script(3).filter(isAsked);
  let answers: {etcd: Answers; kvd: Answers};

  beforeAll(async () => {
    answers = await runBoth(size, {steps, commandLine: 'etcdctl'});
    if (size === 1) etcdctlOnEtcd = answers.etcd;
  }, RUN_TIMEOUT_MS);

  it('Ensure that the script is as long as it must be.', () => {
    expect(steps.length).toBeGreaterThanOrEqual(200);
  });

  it.each(described(steps))(`Ensure that etcdctl sees no difference with ${members}: %s`, (_, step) => {
    const line = describeStep(step);
    expect(transcript(line, ruled(step, answers.kvd))).toBe(transcript(line, ruled(step, answers.etcd)));
  });
});

describe('kvd’s commands', () => {
  let answers: {etcd: Answers; kvd: Answers};

  beforeAll(async () => {
    answers = await runBoth(1, {steps: KVD_STEPS, commandLine: 'kvd'});
  }, RUN_TIMEOUT_MS);

  it.each(described(KVD_ASKING_STEPS))(
    'Ensure that kvd’s command answers the same from both servers: %s',
    (_, step) => {
      const line = describeStep(step);
      expect(transcript(line, ruled(step, answers.kvd))).toBe(transcript(line, ruled(step, answers.etcd)));
    },
  );

  it.each(described(KVD_STEPS.filter(({kvdDiffers}) => kvdDiffers === undefined)))(
    'Ensure that kvd’s command has etcdctl’s exit code and JSON fields: %s',
    (_, step) => {
      const [theirs, ours] = [ruled(step, etcdctlOnEtcd), ruled(step, answers.etcd)];
      expect(`exit code ${ours.exit}; ${ours.stderr}`).toMatch(new RegExp(`^exit code ${theirs.exit};`));
      const [theirFields, ourFields] = commonFields(theirs.stdout, ours.stdout) ?? [];
      expect(ourFields).toBe(theirFields);
    },
  );
});

describe('the rules', () => {
  it.each(COMMAND_RULES.map(({name, reason}) => [name, reason]))('Ensure that "%s" is needed: %s', (name) => {
    expect(used).toContain(name);
  });
});

afterAll(() => used.clear());
