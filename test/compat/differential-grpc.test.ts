/**
 * An independent gRPC client makes the same calls to Debian's etcd and to kvd, with one member and with three: the
 * answers, error codes and texts are equal but for what the rules name.
 */

import {beforeAll, describe, expect, it} from 'vitest';
import type {Program} from '../process/member-process.ts';
import {applyGrpcRules, GRPC_RULES} from './differential/grpc-rules.ts';
import {grpcScript} from './differential/grpc-script.ts';
import {runGrpcScript} from './differential/run-grpc-script.ts';
import {Subject} from './differential/subject.ts';

type Answers = ReadonlyMap<number, string>;

/** Names of the rules that changed something in any run. */
const used = new Set<string>();

async function run(program: Program, size: 1 | 3): Promise<Answers> {
  const subject = await Subject.start(program, size);
  try {
    return await runGrpcScript(subject, size);
  } finally {
    await subject.stop();
  }
}

describe.each([1, 3] as const)('gRPC with %i', (size) => {
  let etcd: Answers;
  let kvd: Answers;

  beforeAll(async () => {
    [etcd, kvd] = await Promise.all([run('etcd', size), run('kvd', size)]);
  });

  it('Ensure that the script is as long as it must be.', () => {
    expect(grpcScript(size).length).toBeGreaterThanOrEqual(100);
  });

  it.each(grpcScript(size).map(({number, name}) => [name, number] as const))(
    `Ensure that ${size} answer gRPC as etcd does: %s`,
    (name, number) => {
      const answer = (answers: Answers) =>
        applyGrpcRules(GRPC_RULES, answers.get(number) ?? 'not run', {name, used});
      expect(answer(kvd)).toBe(answer(etcd));
    },
  );
});

describe('the rules', () => {
  it.each(GRPC_RULES.map(({name, reason}) => [name, reason]))('Ensure that "%s" is needed: %s', (name) => {
    expect(used).toContain(name);
  });
});
