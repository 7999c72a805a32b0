/**
 * Our HTTP/2 beside node's, in one run on this machine: h2load sends 256-byte frames to a trivial handler, and what
 * counts is calls per second of the server's CPU time. `npx tsx bench/http2/run.ts [seconds]`.
 */

import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {h2load, type LoadResult} from '../h2load.ts';
import {cpuSeconds, residentBytes} from '../process-usage.ts';

const seconds = Number(process.argv[2] ?? 4);
const WARM_UP_SECONDS = 2;
const BODY = Buffer.concat([Buffer.from([0, 0, 0, 0, 251]), Buffer.alloc(251, 'v')]);

interface Row extends LoadResult {
  readonly perCpuSecond: number;
  readonly residentMib: number;
}

async function measure(
  kind: 'ours' | 'node',
  inFlight: number,
  certificates: string | undefined,
): Promise<Row> {
  const server = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      join(import.meta.dirname, 'server.ts'),
      kind,
      ...(certificates === undefined ? [] : [certificates]),
    ],
    {stdio: ['ignore', 'pipe', 'inherit']},
  );
  try {
    const url = `${certificates === undefined ? 'http' : 'https'}://127.0.0.1:${await firstLine(server)}/etcdserverpb.KV/Put`;
    await h2load({url, body: BODY, inFlight, seconds: WARM_UP_SECONDS});
    const before = cpuSeconds(server.pid!);
    const result = await h2load({url, body: BODY, inFlight, seconds});
    const cpu = cpuSeconds(server.pid!) - before;
    const residentMib = Math.round(residentBytes(server.pid!) / 2 ** 20);
    return {...result, perCpuSecond: result.answered / cpu, residentMib};
  } finally {
    server.kill();
    await once(server, 'exit');
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer];
  return chunk.toString().trim();
}

const certificates = mkdtempSync(join(tmpdir(), 'bench-http2-'));
const files = ['-keyout', join(certificates, 'key.pem'), '-out', join(certificates, 'cert.pem')];
const kind = [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-subj',
  '/CN=localhost',
];
execFileSync('openssl', ['req', '-x509', ...kind, ...files], {stdio: 'ignore'});
try {
  const print = (...cells: (string | number)[]) =>
    console.log(cells.map((cell) => String(cell).padStart(14)).join(''));
  print('', 'calls/s', 'calls/CPU s', 'us CPU/call', 'p50 ms', 'p99 ms', 'MiB', 'ratio/CPU s');
  for (const tls of [undefined, certificates]) {
    for (const inFlight of [100, 1000]) {
      const shape = `${tls === undefined ? '' : 'TLS '}100x${inFlight / 100}`;
      const theirs = await measure('node', inFlight, tls);
      const ours = await measure('ours', inFlight, tls);
      for (const [name, row] of [
        ['node', theirs],
        ['ours', ours],
      ] as const) {
        const ratio = (row.perCpuSecond / theirs.perCpuSecond).toFixed(2);
        const rates = [
          Math.round(row.perSecond),
          Math.round(row.perCpuSecond),
          (1e6 / row.perCpuSecond).toFixed(1),
        ];
        print(
          `${name} ${shape}`,
          ...rates,
          row.p50Ms.toFixed(2),
          row.p99Ms.toFixed(2),
          row.residentMib,
          ratio,
        );
      }
    }
  }
} finally {
  rmSync(certificates, {recursive: true, force: true});
}
