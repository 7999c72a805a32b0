/** Runs the differential script's gRPC steps on a cluster, one after the other, by an independent client. */

import {once} from 'node:events';
import {status as codes, type ServiceError} from '@grpc/grpc-js';
import {type Message, RawGrpc} from '../../process/raw-grpc.ts';
import {grpcScript} from './grpc-script.ts';
import type {Action, GrpcContext, GrpcStep, Request} from './grpc-step.ts';
import type {Subject} from './subject.ts';

const STEP_TIMEOUT_MS = 15_000;
/** Values above this are shown by their length. */
const SHOWN_BYTES_MAX = 200;

/** @returns what each step answered, as text without the cluster's peculiarities, by the step's number */
export async function runGrpcScript(subject: Subject, members: 1 | 3): Promise<Map<number, string>> {
  const answers = new Map<number, string>();
  for (const [turn, step] of grpcScript(members).entries()) {
    const revision = await subject.settle();
    const leader = await subject.leader();
    const follower = subject.members.find(({id}) => id !== leader.id) ?? leader;
    const inTurn = subject.members[turn % subject.members.length];
    const asked = {leader, follower, turn: inTurn}[step.on ?? 'turn'];
    const context: GrpcContext = {
      revision,
      members: subject.members.map(({id}) => `${id}`),
      peerUrls: subject.members.map(({peerUrl}) => peerUrl),
      follower: `${follower.id}`,
    };
    using client = new RawGrpc(asked.endpoint, step.metadata);
    const answer = await (step.actions === undefined
      ? callUnary(client, step, context)
      : runStream(client, step, context));
    answers.set(step.number, subject.anonymous(shown(answer)));
  }
  return answers;
}

const nameOf = (method: string): string => `etcdserverpb.${method}`;
const messageOf = (request: Request = {}, context: GrpcContext): Message =>
  typeof request === 'function' ? request(context) : request;

async function callUnary(
  client: RawGrpc,
  {method, request}: GrpcStep,
  context: GrpcContext,
): Promise<unknown> {
  try {
    return await client.unary(nameOf(method), messageOf(request, context), {timeoutMs: STEP_TIMEOUT_MS});
  } catch (error) {
    return describeError(error as ServiceError);
  }
}

function describeError({code, details}: ServiceError): Message {
  return {error: codes[code], text: details};
}

async function runStream(
  client: RawGrpc,
  {method, actions = [], byWatch = false}: GrpcStep,
  context: GrpcContext,
): Promise<unknown> {
  const call = client.bidi(nameOf(method));
  const items: Message[] = [];
  let ended: Message | undefined;
  call.on('data', (response: Message) => {
    items.push(...itemsOf(response));
    call.emit('item');
  });
  call.on('error', (error) => {
    ended ??= describeError(error as ServiceError);
    call.emit('item');
  });
  call.on('end', () => {
    ended ??= {ended: true};
    call.emit('item');
  });
  let wanted = 0;
  const received = async (isEnough: () => boolean, what: string) => {
    const signal = AbortSignal.timeout(STEP_TIMEOUT_MS);
    try {
      while (!isEnough()) await once(call, 'item', {signal});
    } catch {
      items.push({missing: what});
    }
  };
  for (const action of actions as readonly Action[]) {
    if ('send' in action) call.write(messageOf(action.send, context));
    else if ('call' in action) await client.unary(nameOf(action.call), messageOf(action.request, context));
    else if ('receive' in action) {
      wanted += action.receive;
      await received(() => items.length >= wanted || ended !== undefined, `${wanted} items`);
    } else {
      call.end();
      await received(() => ended !== undefined, 'the end');
    }
  }
  const seen = [...items];
  const end = ended;
  call.on('error', () => {});
  call.cancel();
  if (byWatch) seen.sort((a, b) => Number(a.watch_id) - Number(b.watch_id));
  return end === undefined ? seen : [...seen, end];
}

/**
 * Events one by one: how many of them share a response, and with it the revision in its header, depends on when the
 * server gets around to sending.
 */
function itemsOf(response: Message): Message[] {
  const {events = [], header, ...rest} = response;
  if (events.length === 0) return [response];
  return events.map((event: Message) => ({...rest, event}));
}

function shown(answer: unknown): string {
  return JSON.stringify(
    answer,
    (_, value) => {
      // JSON.stringify has called the Buffer's own toJSON before it asks here.
      if (typeof value !== 'object' || value?.type !== 'Buffer') return value;
      const text = Buffer.from(value.data).toString('latin1');
      return text.length > SHOWN_BYTES_MAX ? `<${text.length} bytes>` : text;
    },
    1,
  );
}
