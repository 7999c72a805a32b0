/** Endpoints as users write them, with or without a scheme. Pure. */

import {type Endpoint, parseEndpointUrl} from '../../config/url.ts';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';

/**
 * `host:port`, `http(s)://host:port`, `unix(s)://path`; without a scheme TLS is as `tls` says.
 * @throws GrpcError InvalidArgument naming the endpoint and what is wrong with it
 */
export function parseEndpoint(text: string, {tls}: {tls: boolean}): Endpoint {
  const scheme = tls ? 'https' : 'http';
  // unix:path is how gRPC names sockets; a closing slash is what a browser's URL bar leaves.
  const url = /^[a-z]+:\/\//i.test(text)
    ? text
    : text.replace(/^(unixs?:)?/, (_all, unix) => (unix ? `${unix}//` : `${scheme}://`));
  const endpoint = parseEndpointUrl(url.startsWith('unix') ? url : url.replace(/\/$/, ''));
  if (typeof endpoint !== 'string') return endpoint;
  throw new GrpcError(GrpcStatus.invalidArgument, `endpoint ${JSON.stringify(text)}: ${endpoint}`);
}
