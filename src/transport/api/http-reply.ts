/** Answers of the plain HTTP endpoints. */

import type {IncomingMessage, ServerResponse} from 'node:http';

export function replyText(response: ServerResponse, status: number, text: string): void {
  reply(response, status, 'text/plain; charset=utf-8', text);
}

export function replyJson(response: ServerResponse, status: number, value: unknown): void {
  reply(response, status, 'application/json', JSON.stringify(value));
}

export function replyNotFound(response: ServerResponse): void {
  replyText(response, 404, '404 page not found\n');
}

/** @returns whether the request was refused for its method */
export function refusesMethod(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === 'GET') return false;
  response.setHeader('Allow', 'GET');
  replyText(response, 405, 'Method Not Allowed\n');
  return true;
}

export function reply(response: ServerResponse, status: number, contentType: string, body: string): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': bytes.length,
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(bytes);
}
