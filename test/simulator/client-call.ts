/**
 * A client's way to a member: the request takes time to get there, the answer to get back, and either may be lost.
 * What a client can know afterwards is one of three things: the answer, a refusal that is certain, or nothing.
 */

import {AssertionError, EngineError, type EngineErrorCode} from '../../src/engine/errors.ts';
import type {Server} from '../../src/engine/server/server.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';
import type {SimulatedNetwork} from './simulated-network.ts';

export type Outcome<Result> =
  /** `from`: the process that gave it; undefined: nobody was asked. */
  | {readonly kind: 'answer'; readonly result: Result; readonly from?: Life | undefined}
  | {
      readonly kind: 'refused';
      readonly code: EngineErrorCode | 'unreachable';
      readonly from?: Life | undefined;
    }
  | {readonly kind: 'unknown'; readonly code: string};

/** After these nobody knows whether the write will take effect. */
const UNKNOWN = new Set<EngineErrorCode>([
  'timeout',
  'timeoutLeaderFailed',
  'timeoutConnectionLost',
  'timeoutWaitingForApply',
  'stopped',
  'canceled',
  'leaderChanged',
  'leaderTransferTimeout',
  'unhealthy',
]);

export interface CallOptions {
  /** The client's own host in the network. */
  readonly from: string;
  readonly network: SimulatedNetwork;
  readonly member: SimulatedMember;
  /** How long the client has patience, milliseconds. */
  readonly timeoutMs: number;
  readonly onAssertion: (error: unknown) => void;
}

export async function callMember<Result>(
  {from, network, member, timeoutMs, onAssertion}: CallOptions,
  act: (server: Server, signal: AbortSignal) => Promise<Result>,
): Promise<Outcome<Result>> {
  const {queue} = network;
  const patienceEndsMs = queue.nowMs + timeoutMs;
  /** What is lost on the way is missed when patience ends. */
  const swallowed = async (): Promise<Outcome<Result>> => {
    await queue.sleep(patienceEndsMs - queue.nowMs);
    return {kind: 'unknown', code: 'cut'};
  };
  await queue.sleep(network.delayMs());
  if (network.isCut(from, member.name)) return swallowed();
  const {life} = member;
  const server = life?.server;
  if (life === undefined || server === undefined || life.isStopping) {
    await queue.sleep(network.delayMs());
    return {kind: 'refused', code: 'unreachable'};
  }
  const patience = new Patience();
  const outcome = await new Promise<Outcome<Result>>((resolve) => {
    let isSettled = false;
    const settle = (settled: Outcome<Result>) => {
      if (isSettled) return;
      isSettled = true;
      cancelTimer();
      forget();
      resolve(settled);
    };
    const cancelTimer = queue.after(timeoutMs, () => {
      life.clock.enter(() => patience.end());
      settle({kind: 'unknown', code: 'patience'});
    });
    const forget = life.onEnd(() => {
      // The process may have ended from within a call: the client hears of it by an event.
      queue.after(network.delayMs(), () => settle({kind: 'unknown', code: 'died'}));
    });
    life.clock.enter(() => {
      act(server, patience as unknown as AbortSignal).then(
        (result) => settle({kind: 'answer', result, from: life}),
        (error: unknown) => {
          if (error instanceof EngineError) {
            const {code} = error;
            settle(UNKNOWN.has(code) ? {kind: 'unknown', code} : {kind: 'refused', code, from: life});
            return;
          }
          // What a process does in the turn in which it ends, nobody sees.
          if (life.isAlive && (error instanceof AssertionError || error instanceof Error)) onAssertion(error);
          settle({kind: 'unknown', code: String(error)});
        },
      );
    });
  });
  await queue.sleep(network.delayMs());
  return network.isCut(member.name, from) ? swallowed() : outcome;
}

/** What the engine uses of an AbortSignal: the real one costs as much as a call does here. */
class Patience implements Pick<AbortSignal, 'aborted' | 'reason'> {
  aborted = false;
  reason: unknown;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  end(): void {
    this.aborted = true;
    for (const listener of [...this.#listeners]) listener();
  }
}
