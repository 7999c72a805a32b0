/** A call whose time ran out before any endpoint answered, and what each of them did meanwhile. */

import {DialError} from '../http2/dial-error.ts';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';

/** The message is that of Go's client, which scripts know. */
export class NoAnswerError extends GrpcError {
  /** One for each endpoint that was tried: `ENDPOINT: REASON`. */
  readonly reasons: readonly string[];

  /** @param failures the last failure of each endpoint */
  constructor(failures: ReadonlyMap<string, unknown>) {
    super(GrpcStatus.deadlineExceeded, 'context deadline exceeded', [...failures.values()].at(-1));
    this.reasons = [...failures].map(([endpoint, failure]) => `${endpoint}: ${reasonOf(failure)}`);
  }
}

function reasonOf(failure: unknown): string {
  if (failure instanceof DialError) return failure.reason;
  if (failure instanceof GrpcError && failure.status === GrpcStatus.deadlineExceeded) {
    return 'no answer in time';
  }
  return failure instanceof Error ? failure.message : String(failure);
}
