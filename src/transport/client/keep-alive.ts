/** Keeping a lease alive over any number of connections. */

import {setTimeout as delay} from 'node:timers/promises';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {LeaseKeepAliveResponse} from '../proto/generated/lease.ts';
import type {CallOptions} from './call-options.ts';

type KeepAliveOnce = (id: bigint, options: CallOptions) => Promise<LeaseKeepAliveResponse>;

/** Between attempts while no member answers, milliseconds (etcd's client waits as long before it resends). */
const RETRY_MS = 500;
/** How long the first answer, when the TTL is not known yet, is waited for, milliseconds. */
const FIRST_ANSWER_MS = 5_000;

/**
 * Each renewal is a stream of its own with one request: what etcd calls KeepAliveOnce. That is one round trip every
 * third of a TTL, and needs no state when the connection moves to another member.
 */
export async function* keepLeaseAlive(
  keepAliveOnce: KeepAliveOnce,
  id: bigint,
  options: CallOptions = {},
): AsyncGenerator<LeaseKeepAliveResponse, void> {
  const {signal} = options;
  let expiresAtMs = performance.now() + (options.timeoutMs ?? FIRST_ANSWER_MS);
  while (!isAborted(signal)) {
    const leftMs = expiresAtMs - performance.now();
    const answer = await attempt(keepAliveOnce, id, {
      ...options,
      requireLeader: true,
      timeoutMs: Math.max(leftMs, 1),
    });
    if (isAborted(signal)) return;
    if (answer instanceof GrpcError) {
      if (!isPassing(answer) || performance.now() + RETRY_MS >= expiresAtMs) throw answer;
      await sleep(RETRY_MS, signal);
      continue;
    }
    yield answer;
    if (answer.TTL <= 0) return;
    expiresAtMs = performance.now() + answer.TTL * 1_000;
    await sleep((answer.TTL * 1_000) / 3, signal);
  }
}

async function attempt(
  keepAliveOnce: KeepAliveOnce,
  id: bigint,
  options: CallOptions,
): Promise<LeaseKeepAliveResponse | GrpcError> {
  try {
    return await keepAliveOnce(id, options);
  } catch (error) {
    if (error instanceof GrpcError) return error;
    throw error;
  }
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/** Unknown is etcd's answer of a leader that cannot confirm itself yet. */
function isPassing({status}: GrpcError): boolean {
  return status === GrpcStatus.unavailable || status === GrpcStatus.unknown || status === GrpcStatus.internal;
}

/** An abort ends the sleep, not the program. */
async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) await delay(ms);
  else await delay(ms, undefined, {signal}).catch(() => undefined);
}
