/** Logging in, and whether that is needed. */

import type {AuthenticateResponse, AuthStatusResponse} from '../proto/generated/auth.ts';
import type {CallOptions} from './call-options.ts';
import type {Calls} from './calls.ts';

export class AuthClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  authenticate(name: string, password: string, options?: CallOptions): Promise<AuthenticateResponse> {
    return this.#calls.authenticate({name, password}, options);
  }

  async authStatus(options?: CallOptions): Promise<AuthStatusResponse> {
    const {AuthPath, encodeAuthStatusRequest, decodeAuthStatusResponse} = await codecs();
    const bytes = encodeAuthStatusRequest({});
    return decodeAuthStatusResponse(await this.#calls.read(AuthPath.AuthStatus, bytes, options));
  }
}

const codecs = () => import('../proto/generated/auth.ts');
