/**
 * Of etcdserverpb.Auth what a client asks of a server whose auth is off: whether it is, and a token it is not given.
 * The other methods are not served (Unimplemented).
 */

import {EngineError} from '../../../engine/errors.ts';
import type {GrpcMethod} from '../../http2/grpc-method.ts';
import {
  AuthPath,
  decodeAuthenticateRequest,
  decodeAuthStatusRequest,
  encodeAuthenticateResponse,
  encodeAuthStatusResponse,
} from '../../proto/generated/auth.ts';
import type {ServiceContext} from './service.ts';
import {unary} from './unary.ts';

/** The auth revision of a store without users. */
const FIRST_AUTH_REVISION = 1;

export function authMethods({server}: ServiceContext): readonly GrpcMethod[] {
  return [
    unary(AuthPath.Authenticate, decodeAuthenticateRequest, encodeAuthenticateResponse, () => {
      throw new EngineError({code: 'authNotEnabled'});
    }),
    unary(AuthPath.AuthStatus, decodeAuthStatusRequest, encodeAuthStatusResponse, async () => ({
      header: server.header(),
      authRevision: FIRST_AUTH_REVISION,
    })),
  ];
}
