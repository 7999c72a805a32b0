/** gRPC's status codes and the error that carries one. Source: the gRPC status code page of grpc.io. */

export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type GrpcStatus = (typeof GrpcStatus)[keyof typeof GrpcStatus];

/** A call that ended with a status other than OK: thrown by handlers to send it, by the client on receiving it. */
export class GrpcError extends Error {
  readonly status: GrpcStatus;

  constructor(status: GrpcStatus, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = 'GrpcError';
    this.status = status;
  }
}
