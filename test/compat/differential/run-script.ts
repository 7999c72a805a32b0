/** Runs the differential script's steps on a cluster, one after the other, with etcdctl or kvd's own command line. */

import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {resolve} from 'node:path';
import {decodeMessage, type Message} from '../../process/raw-grpc.ts';
import type {NamedStep} from './script.ts';
import type {Step} from './step.ts';
import type {Subject} from './subject.ts';

const KVD = resolve(import.meta.dirname, '../../../bin/run.js');

export type CommandLine = 'etcdctl' | 'kvd';

const COMMANDS: Readonly<Record<CommandLine, readonly string[]>> = {
  etcdctl: ['etcdctl'],
  kvd: [process.execPath, KVD],
};

/** A step that is not over by then has failed. */
const STEP_TIMEOUT_MS = 20_000;
const RETRY_MS = 250;

/** What a step did, with the cluster's peculiarities taken out. Bytes as latin1. */
export interface Answer {
  readonly exit: string;
  readonly stdout: string;
  readonly stderr: string;
}

interface Context {
  readonly revision: number;
  readonly endpoint: string;
  readonly follower: bigint;
}

export async function runScript(
  subject: Subject,
  steps: readonly NamedStep[],
  commandLine: CommandLine,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>();
  for (const [turn, step] of steps.entries()) {
    answers.set(step.name, await runStep(subject, step, {turn, commandLine}));
  }
  return answers;
}

async function runStep(
  subject: Subject,
  step: Step,
  {turn, commandLine}: {turn: number; commandLine: CommandLine},
): Promise<Answer> {
  // On one member there is nothing to wait for, and few steps ask for a revision or a follower.
  const text = JSON.stringify([step.args, step.input]);
  const revision = subject.members.length > 1 || text.includes('{revision') ? await subject.settle() : 0;
  const follower =
    step.onFollower || text.includes('{follower}') ? await subject.follower() : subject.members[0];
  const {endpoint} = step.onFollower ? follower : subject.members[turn % subject.members.length];
  const context = {revision, endpoint, follower: follower.id};
  if (step.call !== undefined) return runCall(subject, step.call, context);
  const untilMs = performance.now() + STEP_TIMEOUT_MS;
  let answer = await runCommand(subject, step, {context, commandLine});
  while (step.whileError?.test(answer.stderr) && performance.now() < untilMs) {
    await new Promise((done) => setTimeout(done, RETRY_MS));
    answer = await runCommand(subject, step, {context, commandLine});
  }
  capture(subject, step.capture, {answer, prefix: '0x'});
  capture(subject, step.captureDecimal, {answer, prefix: ''});
  const stdout = step.message === undefined ? answer.stdout : decoded(step.message, answer);
  return {
    exit: answer.exit,
    stdout: subject.anonymous(stdout),
    stderr: subject.anonymous(answer.stderr),
  };
}

async function runCall(
  subject: Subject,
  {method, request}: {method: string; request: Message},
  context: Context,
): Promise<Answer> {
  const filled = Object.entries(request).map(([name, value]) => {
    if (typeof value !== 'string') return [name, value];
    const text = subject.fill(value, context);
    return [name, text === value ? value : BigInt(`0x${text}`).toString()];
  });
  await subject.calls[0].raw.unary(method, Object.fromEntries(filled));
  return {exit: '0', stdout: '', stderr: ''};
}

function capture(
  subject: Subject,
  captures: Readonly<Record<string, RegExp>> = {},
  {answer, prefix}: {answer: Answer; prefix: '0x' | ''},
): void {
  for (const [name, pattern] of Object.entries(captures)) {
    const [, id] = pattern.exec(answer.stdout) ?? [];
    if (id !== undefined) subject.capture(name, BigInt(`${prefix}${id}`));
  }
}

/** A message in protobuf's bytes as JSON; whatever is no such message as it is. */
function decoded(type: string, {stdout}: Answer): string {
  try {
    return JSON.stringify(decodeMessage(type, Buffer.from(stdout, 'latin1')), null, 1);
  } catch (error) {
    return `${error}: ${stdout}`;
  }
}

async function runCommand(
  subject: Subject,
  step: Step,
  {context, commandLine}: {context: Context; commandLine: CommandLine},
): Promise<Answer> {
  const args = step.args.map((word) => subject.fill(word, context));
  const input =
    typeof step.input === 'string' ? subject.fill(step.input, context) : (step.input ?? Buffer.alloc(0));
  const child = start(subject, {args, step, context, commandLine});
  const ended = finish(child, step);
  child.stdin?.on('error', () => {});
  if (step.untilLines === undefined) child.stdin?.end(input);
  else if (input.length > 0) child.stdin?.write(input);
  for (const words of step.meanwhile ?? []) {
    await finish(start(subject, {args: words, step: {args: words}, context, commandLine}), {args: words});
  }
  return ended;
}

function start(
  subject: Subject,
  {
    args,
    step,
    context,
    commandLine,
  }: {args: readonly string[]; step: Step; context: Context; commandLine: CommandLine},
): ChildProcess {
  const hasEndpoints = args.some((word) => word.startsWith('--endpoints'));
  const program = [...COMMANDS[commandLine], ...(hasEndpoints ? [] : ['--endpoints', context.endpoint])];
  const {PATH = ''} = process.env;
  const environment = {PATH, ETCDCTL_API: '3', ...step.environment};
  const command = step.shell === undefined ? [...program, ...args] : ['sh', '-c', step.shell];
  return spawn(command[0], command.slice(1), {
    cwd: subject.folder,
    env: step.shell === undefined ? environment : {...environment, CTL: program.join(' ')},
  });
}

/** Waits for the end, which comes with SIGINT when the step says so. */
async function finish(child: ChildProcess, {untilLines}: Step): Promise<Answer> {
  let stdout = '';
  let stderr = '';
  let lines = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1');
    stdout += text;
    lines += text.split('\n').length - 1;
    if (untilLines !== undefined && lines >= untilLines) child.kill('SIGINT');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('latin1');
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, STEP_TIMEOUT_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  return {exit: timedOut ? 'it did not end' : `${code ?? signal}`, stdout, stderr};
}
