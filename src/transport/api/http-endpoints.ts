/** What the client port answers to plain HTTP/1.1: health, probes, version, metrics. The rest is 404, in etcd's words. */

import type {IncomingMessage, RequestListener, ServerResponse} from 'node:http';
import type {Logger} from '../../engine/ports.ts';
import {API_VERSION, CLUSTER_VERSION, KVD_VERSION, STORAGE_VERSION} from '../../engine/version.ts';
import {answerHealth, answerProbe} from './health-checks.ts';
import {refusesMethod, reply, replyJson, replyNotFound, replyText} from './http-reply.ts';
import type {ServerFace} from './services/service.ts';

export interface HttpEndpointsOptions {
  readonly server: Pick<ServerFace, 'alarms' | 'leader' | 'isLearner' | 'range'>;
  /** All metrics in Prometheus' text format. */
  readonly exposition: () => string | Promise<string>;
  readonly logger: Logger;
}

/** Any page may read: etcd's default for --cors. */
const CORS_HEADERS = {
  'Access-Control-Allow-Methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': 'accept, content-type, authorization',
};

export function httpEndpoints(options: HttpEndpointsOptions): RequestListener {
  return (request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      options.logger.error('an HTTP request failed', {path: request.url ?? '', error: reason});
      if (response.headersSent) response.destroy();
      else replyText(response, 500, 'Internal Server Error\n');
    });
  };
}

async function answer(
  {server, exposition}: HttpEndpointsOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Nothing here reads a body; what comes is thrown away, so that the connection stays usable.
  request.resume();
  for (const [name, value] of Object.entries(CORS_HEADERS)) response.setHeader(name, value);
  if (request.method === 'OPTIONS') {
    response.writeHead(200).end();
    return;
  }
  const [path, search = ''] = (request.url ?? '/').split('?', 2);
  const query = new URLSearchParams(search);
  switch (path) {
    case '/health':
      return answerHealth(server, request, response, query);
    case '/version':
      return refusesMethod(request, response) ? undefined : replyJson(response, 200, versions());
    case '/metrics':
      if (refusesMethod(request, response)) return;
      return reply(response, 200, 'text/plain; version=0.0.4; charset=utf-8', await exposition());
    default:
      if (!(await answerProbe(server, request, response, {path, query}))) replyNotFound(response);
  }
}

/** Clients take every part of etcd's versions for a number; what kvd is stands under a key of its own. */
function versions() {
  return {
    etcdserver: API_VERSION,
    etcdcluster: CLUSTER_VERSION,
    storage: STORAGE_VERSION,
    kvd: KVD_VERSION,
  };
}
