/** Unary methods whose handlers may throw what the engine throws. */

import type {Call, UnaryMethod} from '../../http2/grpc-method.ts';
import {toGrpcError} from '../error-status.ts';

/** What `handle` throws at once is turned into a status here; its promise's rejection it turns itself (`refuse`). */
export function unary<Request, Response>(
  path: string,
  decode: (bytes: Uint8Array) => Request,
  encode: (response: Response) => Uint8Array,
  handle: (request: Request, call: Call) => Promise<Response>,
): UnaryMethod<Request, Response> {
  return {
    kind: 'unary',
    path,
    decode,
    encode,
    handle: (request, call) => {
      try {
        return handle(request, call);
      } catch (error) {
        return Promise.reject(toGrpcError(error));
      }
    },
  };
}
