/**
 * The loop of a two-way stream on which each request has one answer: requests are worked on side by side, answers
 * leave in the order of their requests.
 */

import type {GrpcError} from '../../http2/grpc-status.ts';
import {toGrpcError} from '../error-status.ts';

export interface AnswerOptions {
  /** Requests worked on at a time; beyond it the stream is not read, and the client feels it. */
  readonly inFlightMax: number;
  readonly signal: AbortSignal;
  /** Is given what ends the stream from our side. @returns what calls that off */
  readonly onEnd: (end: (error: GrpcError) => void) => () => void;
}

type Outcome<Response> = {readonly response: Response} | {readonly error: unknown};

/** Ends when the requests have ended and all answers are out; throws the first failure instead of its answer. */
export async function* answerInOrder<Request, Response>(
  requests: AsyncIterable<Request>,
  answer: (request: Request) => Promise<Response>,
  {inFlightMax, signal, onEnd}: AnswerOptions,
): AsyncGenerator<Response, void> {
  const outcomes: Promise<Outcome<Response>>[] = [];
  let failure: unknown;
  let hasFailed = false;
  let isReading = true;
  let wake: () => void = () => undefined;
  let makeRoom: () => void = () => undefined;
  const stop = (error: unknown) => {
    hasFailed = true;
    failure ??= error;
    wake();
    makeRoom();
  };
  const read = async () => {
    for await (const request of requests) {
      if (hasFailed) return;
      const outcome = answer(request).then(
        (response) => ({response}),
        (error: unknown) => ({error}),
      );
      outcomes.push(outcome);
      wake();
      if (outcomes.length < inFlightMax) continue;
      await new Promise<void>((resolve) => {
        makeRoom = resolve;
      });
    }
  };
  const abort = () => stop(signal.reason);
  const forget = onEnd(stop);
  signal.addEventListener('abort', abort, {once: true});
  read().then(() => {
    isReading = false;
    wake();
  }, stop);
  try {
    for (;;) {
      if (hasFailed) throw failure;
      const [next] = outcomes;
      if (next === undefined) {
        if (!isReading) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const outcome = await next;
      outcomes.shift();
      makeRoom();
      if ('error' in outcome) throw outcome.error;
      yield outcome.response;
    }
  } catch (error) {
    throw toGrpcError(error);
  } finally {
    signal.removeEventListener('abort', abort);
    forget();
    stop(undefined);
  }
}
