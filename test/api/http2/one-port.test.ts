/** One port for HTTP/2 and HTTP/1.1, plain, over TLS and on unix sockets; what is said in pieces, and what is not said. */

import {execFile, execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer as createHttp, get} from 'node:http';
import {connect as connectHttp2, constants} from 'node:http2';
import {connect, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {connect as connectTls} from 'node:tls';
import {Client, credentials} from '@grpc/grpc-js';
import {afterAll, afterEach, beforeAll, describe, expect, it} from 'vitest';
import {GrpcChannel} from '../../../src/transport/http2/grpc-channel.ts';
import {OnePortListener} from '../../../src/transport/http2/one-port.ts';
import {type Served, serve, silent} from './echo-service.ts';
import {
  block,
  E,
  F,
  frame,
  message,
  openStream,
  PREFACE,
  RawPeer,
  settings,
  T,
  unaryCall,
} from './raw-peer.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvd-one-port-'));
const stops: (() => void)[] = [];
let certificate: {key: Buffer; cert: Buffer};

beforeAll(() => {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, '-nodes', '-keyout', key, '-out', cert, '-days', '2', ...subject],
    {
      stdio: 'ignore',
    },
  );
  certificate = {key: readFileSync(key), cert: readFileSync(cert)};
});

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

afterAll(() => rmSync(folder, {recursive: true, force: true}));

async function start(options: Parameters<typeof serve>[0] = {}): Promise<Served> {
  const served = await serve(options);
  stops.push(() => served.stop());
  return served;
}

function run(command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, {encoding: 'latin1', timeout: 10_000}, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
}

/** Everything a socket says until it is closed. */
function conversation(socket: Socket): {text: () => string; closed: Promise<void>} {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  return {text: () => text, closed: new Promise((resolve) => socket.once('close', () => resolve()))};
}

describe('one port', () => {
  it('Ensure that HTTP/1.1 and HTTP/2 are told apart on the same port, by curl too.', async () => {
    const {port} = await start();
    const url = `http://127.0.0.1:${port}/version`;
    expect(await run('curl', '-s', url)).toBe('GET /version');
    expect(await run('curl', '-s', '-X', 'PUT', url)).toBe('PUT /version');
    expect(await run('curl', '-s', '-X', 'POST', '-d', 'x'.repeat(100_000), url)).toBe('POST /version');
    const body = join(folder, 'body.bin');
    writeFileSync(body, message('from curl'));
    const answer = await run(
      ...([
        'curl',
        '-s',
        '--http2-prior-knowledge',
        '-H',
        'content-type: application/grpc',
        '-H',
        'te: trailers',
      ] as const),
      ...['--data-binary', `@${body}`, `http://127.0.0.1:${port}/test.Echo/Unary`],
    );
    expect(answer.slice(5)).toBe('from curl');
  });

  it('Ensure that what is no gRPC call gets an HTTP status that says so.', async () => {
    const {port} = await start({http: undefined});
    const url = `http://127.0.0.1:${port}/test.Echo/Unary`;
    const status = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--http2-prior-knowledge'];
    expect(await run('curl', ...status, url)).toBe('405');
    expect(await run('curl', ...status, '-X', 'POST', url)).toBe('415');
  });

  it('Ensure that HTTP/1.1 keeps its connection alive and takes requests in a row.', async () => {
    const {port} = await start();
    const socket = connect(port, '127.0.0.1');
    const {text, closed} = conversation(socket);
    socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.write('GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await closed;
    expect(text().match(/GET \/[abc]/g)).toEqual(['GET /a', 'GET /b', 'GET /c']);
  });

  it('Ensure that the decision holds when the bytes come one by one.', async () => {
    const {port} = await start();
    const http = connect({port, host: '127.0.0.1', noDelay: true});
    const {text, closed} = conversation(http);
    for (const char of 'PUT /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n') {
      http.write(char);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect(text()).toMatch(/PUT \/slow/);
    const peer = await RawPeer.connect(port, false);
    for (const byte of Buffer.concat([PREFACE, settings(), unaryCall(1, 'slow')])) {
      peer.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    peer.close();
  });

  it('Ensure that who says nothing, or not enough, is let go.', async () => {
    const {grpc, http} = await start();
    const listener = new OnePortListener({grpc, http, logger: silent, firstBytesTimeoutMs: 100});
    stops.push(() => listener.close());
    const bound = await listener.listen({host: '127.0.0.1', port: 0});
    const sockets = ['', 'P', 'PRI'].map((said) => {
      const socket = connect('port' in bound ? bound.port : 0, '127.0.0.1');
      socket.write(said);
      return conversation(socket);
    });
    await Promise.all(sockets.map(({closed}) => closed));
    expect(sockets.map(({text}) => text())).toEqual(['', '', '']);
  });

  it('Ensure that a request whose head never ends is answered 408 and closed (slow headers).', async () => {
    const {grpc} = await start();
    const http = createHttp({headersTimeout: 100, requestTimeout: 200, connectionsCheckingInterval: 20});
    const listener = new OnePortListener({grpc, http, logger: silent});
    stops.push(() => {
      listener.close();
      http.close();
    });
    const bound = await listener.listen({host: '127.0.0.1', port: 0});
    const socket = connect('port' in bound ? bound.port : 0, '127.0.0.1');
    const {text, closed} = conversation(socket);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    await closed;
    expect(text()).toMatch(/^HTTP\/1.1 408/);
  });

  it('Ensure that an address in use, or none at all, is an error with its code.', async () => {
    const {port, listener} = await start();
    await expect(listener.listen({host: '127.0.0.1', port})).rejects.toMatchObject({code: 'EADDRINUSE'});
    await expect(listener.listen({path: '/nowhere/at/all.sock'})).rejects.toMatchObject({
      syscall: 'listen',
      address: '/nowhere/at/all.sock',
    });
  });

  it('Ensure that several addresses, unix sockets among them, lead to the same server.', async () => {
    const {listener, port} = await start();
    const path = join(folder, 'listener.sock');
    await listener.listen({path});
    const second = await listener.listen({host: '127.0.0.1', port: 0});
    expect(await run('curl', '-s', '--unix-socket', path, 'http://localhost/u')).toBe('GET /u');
    const targets = [`127.0.0.1:${port}`, `127.0.0.1:${'port' in second ? second.port : 0}`, `unix:${path}`];
    for (const target of targets) {
      const channel = new GrpcChannel({target, dialTimeoutMs: 1000});
      expect(Buffer.from(await channel.unary('/test.Echo/Unary', Buffer.from('a'), {})).toString()).toBe('a');
      channel.close();
    }
  });

  it('Ensure that no HTTP/1.1 connection outlives the listener.', async () => {
    const served = await serve();
    const socket = connect(served.port, '127.0.0.1');
    const {text, closed} = conversation(socket);
    socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    expect(text()).toMatch(/^HTTP\/1.1 200/);
    served.stop();
    await closed;
  });

  it('Ensure that every character a header may have arrives, as nghttp2 writes it.', async () => {
    const {port, service} = await start();
    const value = Array.from({length: 256}, (_, i) => i).filter((i) => (i > 32 && i < 127) || i > 127);
    const text = Buffer.from(value).toString('latin1');
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/test.Echo/Unary',
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-all': text,
    });
    stream.end(message('x'));
    stream.resume();
    await new Promise((resolve) => stream.on('end', resolve));
    expect(service.seen.at(-1)!.metadata('x-all')).toBe(text);
    session.close();
  });
});

describe('one port over TLS', () => {
  it('Ensure that gRPC clients and curl are served, whatever TLS negotiates for them.', async () => {
    const {port} = await start({tls: certificate});
    const ca = certificate.cert;
    const url = `https://localhost:${port}/version`;
    const curl = ['-s', '--cacert', join(folder, 'cert.pem'), '-w', ' %{http_version} %{http_code}'];
    expect(await run('curl', ...curl, url)).toBe('GET /version 2 200');
    expect(await run('curl', ...curl, '--http1.1', url)).toBe('GET /version 1.1 200');
    const client = new Client(`localhost:${port}`, credentials.createSsl(ca));
    const asIs = (bytes: Buffer): Buffer => bytes;
    const answer = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        '/test.Echo/Unary',
        asIs,
        asIs,
        Buffer.alloc(500_000, 't'),
        (error, response) => (error === null ? resolve(response!) : reject(error)),
      );
    });
    expect(answer.length).toBe(500_000);
    client.close();
    const channel = new GrpcChannel({target: `https://localhost:${port}`, tls: {ca}, dialTimeoutMs: 5000});
    const large = await channel.unary('/test.Echo/Large', Buffer.from('5000000'), {});
    expect(large.length).toBe(5_000_000);
    channel.close();
  });

  it('Ensure that ALPN takes the client’s first choice, and none is no error.', async () => {
    const {port} = await start({tls: certificate});
    const negotiated = (offer: string[]): Promise<string | false | null> =>
      new Promise((resolve, reject) => {
        const socket = connectTls(
          {port, host: 'localhost', ca: certificate.cert, ALPNProtocols: offer},
          () => {
            resolve(socket.alpnProtocol);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    expect(await negotiated(['h2'])).toBe('h2');
    expect(await negotiated(['grpc-exp', 'h2'])).toBe('h2');
    expect(await negotiated(['h2', 'http/1.1'])).toBe('h2');
    expect(await negotiated(['http/1.1', 'h2'])).toBe('http/1.1');
    expect(await negotiated([])).toBe(false);
  });

  it('Ensure that keys are not negotiated again, which HTTP/2 forbids over TLS 1.2 (9.2.1).', async () => {
    const {port} = await start({tls: certificate});
    const offer = {ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2'} as const;
    const socket = connectTls({port, host: 'localhost', ca: certificate.cert, ...offer});
    const peer = new RawPeer(socket);
    await once(socket, 'secureConnect');
    peer.send(PREFACE, settings(), unaryCall(1));
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    let isNegotiated = false;
    socket.renegotiate({}, (error) => {
      isNegotiated = error === null;
    });
    await peer.closed();
    expect(isNegotiated).toBe(false);
  });

  it('Ensure that a client with a wrong certificate authority fails with Unavailable.', async () => {
    const {port} = await start({tls: certificate});
    const channel = new GrpcChannel({target: `https://localhost:${port}`, dialTimeoutMs: 5000});
    await expect(channel.unary('/test.Echo/Unary', Buffer.alloc(0), {})).rejects.toMatchObject({
      status: 14,
      message: expect.stringMatching(/certificate/),
    });
    channel.close();
  });

  it('Ensure that new connections get replaced certificates while old ones go on.', async () => {
    const {port, listener} = await start({tls: certificate});
    const old = new GrpcChannel({
      target: `localhost:${port}`,
      tls: {ca: certificate.cert},
      dialTimeoutMs: 5000,
    });
    await old.unary('/test.Echo/Unary', Buffer.from('a'), {});
    const [key, cert] = [join(folder, 'key2.pem'), join(folder, 'cert2.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject],
      {
        stdio: 'ignore',
      },
    );
    listener.replaceTls({key: readFileSync(key), cert: readFileSync(cert)});
    const fresh = new GrpcChannel({
      target: `localhost:${port}`,
      tls: {ca: readFileSync(cert)},
      dialTimeoutMs: 5000,
    });
    expect((await fresh.unary('/test.Echo/Unary', Buffer.from('b'), {})).length).toBe(1);
    expect((await old.unary('/test.Echo/Unary', Buffer.from('c'), {})).length).toBe(1);
    old.close();
    fresh.close();
  });

  it('Ensure that plain bytes on a TLS port are refused and harm nobody.', async () => {
    const {port} = await start({tls: certificate});
    const socket = connect(port, '127.0.0.1');
    const {closed} = conversation(socket);
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await closed;
    expect(await run('curl', '-sk', `https://127.0.0.1:${port}/ok`)).toBe('GET /ok');
  });
});

describe('plain requests over HTTP/2', () => {
  async function startHttp(): Promise<number> {
    const http = createHttp((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const bytes = Buffer.concat(parts).length;
        if (request.url === '/large') {
          response.end(Buffer.alloc(20_000_000, 'L'));
          return;
        }
        if (request.url === '/none') {
          response.writeHead(204).end();
          return;
        }
        if (request.url === '/broken') {
          request.socket.destroy();
          return;
        }
        response.setHeader('X-Two', ['1', '2']);
        response.end(
          JSON.stringify({method: request.method, url: request.url, bytes, headers: request.headers}),
        );
      });
    });
    return (await start({http})).port;
  }

  const h2 = ['-s', '--http2-prior-knowledge'];

  it('Ensure that an answer ahead of its request’s end is complete before the stream is reset (8.1).', async () => {
    const http = createHttp((_request, response) =>
      response.writeHead(405, {'content-length': '3'}).end('no\n'),
    );
    const {port} = await start({http});
    const body = join(folder, 'refused-body.bin');
    writeFileSync(body, Buffer.alloc(5_000_000, 'b'));
    const upload = ['-S', '-w', ' %{http_code}', '-X', 'POST', '-T', body, '-H', 'expect:'];
    expect(await run('curl', ...h2, ...upload, `http://127.0.0.1:${port}/x`)).toBe('no\n 405');
    const peer = await RawPeer.connect(port);
    const post = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/x'],
      [':authority', 'x'],
    ] as const;
    peer.send(frame(T.headers, F.endHeaders, 1, block(post)));
    // All that the stream's window takes: nobody reads it, and it is never opened again.
    for (let i = 0; i < 64; i++) peer.send(frame(T.data, 0, 1, Buffer.alloc(16_384)));
    expect(await peer.reset(1)).toBe(E.none);
    const [last, reset] = peer.frames.filter(({id}) => id === 1).slice(-2);
    expect([last.type, last.flags, reset.type]).toEqual([T.data, F.endStream, T.rst]);
    expect(peer.frames.some(({type, id}) => type === T.window && id === 1)).toBe(false);
    peer.send(unaryCall(3));
    expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
    peer.close();
  });

  it('Ensure that they reach the HTTP/1.1 handlers with method, path, fields and body.', async () => {
    const port = await startHttp();
    const base = `http://127.0.0.1:${port}`;
    const got = JSON.parse(await run('curl', ...h2, '-H', 'X-A: 1', '-b', 'a=b; c=d', `${base}/v?q=%20`));
    expect(got).toMatchObject({method: 'GET', url: '/v?q=%20', bytes: 0});
    expect(got.headers).toMatchObject({host: `127.0.0.1:${port}`, 'x-a': '1', cookie: 'a=b; c=d'});
    const body = join(folder, 'large-body.bin');
    writeFileSync(body, Buffer.alloc(5_000_000, 'b'));
    const posted = JSON.parse(await run('curl', ...h2, '--data-binary', `@${body}`, `${base}/p`));
    expect(posted).toMatchObject({method: 'POST', bytes: 5_000_000});
    const put = ['-X', 'PUT', '-T', body, '-H', 'content-length:'];
    expect(JSON.parse(await run('curl', ...h2, ...put, `${base}/p`))).toMatchObject({
      method: 'PUT',
      bytes: 5_000_000,
    });
  });

  it.each<[string, [string, string][]]>([
    ['a blank in :path', [[':path', '/a b']]],
    ['a control character in :path', [[':path', '/a\x01b']]],
    ['a blank in :method', [[':method', 'G T']]],
    ['a control character in :method', [[':method', 'G\x01']]],
    ['a control character in :authority', [[':authority', 'a\x01b']]],
    ['a control character in a value', [['x', 'a\x01b']]],
    ['DEL in a value', [['x', 'a\x7fb']]],
  ])(
    'Ensure that a request which HTTP/1.1 has no words for is refused by itself: %s.',
    async (_name, odd) => {
      const port = await startHttp();
      const peer = await RawPeer.connect(port);
      peer.send(frame(T.headers, F.endHeaders | F.endStream, 1, block(plainFields(odd))));
      expect(await peer.reset(1)).toBe(E.protocol);
      peer.send(unaryCall(3));
      expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
      peer.close();
    },
  );

  it('Ensure that fields with names of objects’ own properties, trailer, and host in place of :authority are served.', async () => {
    const port = await startHttp();
    const peer = await RawPeer.connect(port);
    const odd = ['__proto__', 'constructor', 'trailer', 'host'].map((name): [string, string] => [name, 'v']);
    const fields = plainFields(odd).filter(([name]) => name !== ':authority');
    peer.send(frame(T.headers, F.endHeaders | F.endStream, 1, block(fields)));
    const body = await peer.until(() => (peer.data.get(1)?.length === 2 ? peer.body(1) : undefined));
    expect(JSON.parse(body.toString()).headers).toMatchObject({constructor: 'v', host: 'v'});
    expect(body.toString()).not.toContain('trailer');
    peer.close();
  });

  it('Ensure that a request may end with trailers.', async () => {
    const port = await startHttp();
    const peer = await RawPeer.connect(port);
    const fields = plainFields([[':method', 'POST']]);
    peer.send(frame(T.headers, F.endHeaders, 1, block(fields)), frame(T.data, 0, 1, Buffer.from('abc')));
    peer.send(frame(T.headers, F.endHeaders | F.endStream, 1, block([['x-sum', '1']])));
    const body = await peer.until(() => (peer.data.get(1)?.length === 2 ? peer.body(1) : undefined));
    expect(JSON.parse(body.toString())).toMatchObject({method: 'POST', bytes: 3});
    peer.close();
  });

  it('Ensure that large, empty and broken answers come back as such.', async () => {
    const port = await startHttp();
    const status = [...h2, '-o', '/dev/null', '-w', '%{http_code} %{size_download}'];
    expect(await run('curl', ...status, `http://127.0.0.1:${port}/large`)).toBe('200 20000000');
    expect(await run('curl', ...status, `http://127.0.0.1:${port}/none`)).toBe('204 0');
    expect(await run('curl', ...status, '-I', `http://127.0.0.1:${port}/head`)).toBe('200 0');
    await expect(run('curl', ...status, `http://127.0.0.1:${port}/broken`)).rejects.toThrow();
    expect(await run('curl', ...h2, '-i', `http://127.0.0.1:${port}/v`)).toMatch(/x-two: 1\r\nx-two: 2/);
  });
});

/** Of a GET, with these fields in place of its own or behind them. */
function plainFields(odd: readonly [string, string][]): [string, string][] {
  const fields = new Map([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'x'],
  ]);
  for (const [name, value] of odd) fields.set(name, value);
  return [...fields];
}

describe('keep-alive of the server', () => {
  it('Ensure that a connection that does not answer is dropped, and one that does is not.', async () => {
    const {port, grpc} = await start({keepAlive: {minTimeMs: 0, intervalMs: 50, timeoutMs: 50}});
    const dead = await RawPeer.connect(port);
    const alive = await RawPeer.connect(port);
    const answering = setInterval(() => {
      for (const ping of alive.frames.splice(0).filter(({type, flags}) => type === T.ping && flags === 0)) {
        alive.send(frame(T.ping, F.ack, 0, ping.payload));
      }
    }, 5);
    alive.send(openStream(1, '/test.Echo/Watch'));
    await dead.closed();
    expect(alive.isClosed).toBe(false);
    expect(grpc.connections).toBe(1);
    clearInterval(answering);
    alive.close();
  });
});

it('Ensure that node’s own http client is served on the port.', async () => {
  const {port} = await start();
  const body = await new Promise<string>((resolve, reject) => {
    get({port, host: '127.0.0.1', path: '/node'}, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
  expect(body).toBe('GET /node');
});
