/** Debian's h2load, one run: a fixed gRPC frame sent over and over, with the latencies it saw. */

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

export interface LoadOptions {
  readonly url: string;
  /** The gRPC frame, prefix included. */
  readonly body: Uint8Array;
  readonly inFlight: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Requests that got HTTP status 200. Whether they also did what they should is the caller's to check. */
  readonly answered: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Connections share the load up to this number; beyond it each carries several streams. */
const CONNECTIONS_MAX = 100;

export async function h2load(options: LoadOptions): Promise<LoadResult> {
  const {url, body, inFlight, seconds} = options;
  const folder = mkdtempSync(join(tmpdir(), 'h2load-'));
  try {
    const bodyFile = join(folder, 'body');
    const log = join(folder, 'log');
    writeFileSync(bodyFile, body);
    const connections = Math.min(inFlight, CONNECTIONS_MAX);
    const child = spawn(
      'h2load',
      [
        `--clients=${connections}`,
        `--max-concurrent-streams=${inFlight / connections}`,
        `--duration=${seconds}`,
        `--data=${bodyFile}`,
        `--log-file=${log}`,
        '--header=content-type: application/grpc',
        '--header=te: trailers',
        url,
      ],
      {stdio: ['ignore', 'pipe', 'inherit']},
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`h2load ended with ${code}:\n${output}`);
    return summarise(readFileSync(log, 'latin1'), seconds);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** Lines of the log: start in microseconds since 1970, HTTP status, microseconds taken. */
function summarise(log: string, seconds: number): LoadResult {
  const times: number[] = [];
  let failed = 0;
  for (const line of log.split('\n')) {
    if (line === '') continue;
    const [, status, microseconds] = line.split('\t');
    if (status === '200') times.push(Number(microseconds));
    else failed++;
  }
  times.sort((a, b) => a - b);
  const at = (part: number) =>
    (times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0) / 1000;
  return {answered: times.length, failed, perSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99)};
}
