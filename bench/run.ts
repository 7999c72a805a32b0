/**
 * `npm run bench`: Debian's etcd and kvd side by side. Each topology is started on the same machine, and both are
 * driven in turn by h2load with the same frames, so that the ratio means something even where the machine is noisy.
 * Both sync every write; each put run is checked against the revision. Prints a Markdown table.
 *
 *     npm run bench -- [--seconds 3] [--rounds 1] [--members 1,3] [--in-flight 1,10,100,1000] [--json FILE]
 */

import {writeFileSync} from 'node:fs';
import {EtcdCalls} from '../test/process/etcd-calls.ts';
import type {MemberProcess, Program} from '../test/process/member-process.ts';
import {ProcessCluster} from '../test/process/process-cluster.ts';
import {runFlags} from '../test/runners/run-flags.ts';
import {h2load} from './h2load.ts';
import {cpuSeconds, residentBytes} from './process-usage.ts';

const NUMBERS = {
  name: 'numbers from 1 on with commas between',
  fits: (text: string) => /^[1-9]\d*(,[1-9]\d*)*$/.test(text),
};
const values = runFlags('bench', "Debian's etcd and kvd side by side; prints a table of ratios.", {
  seconds: {kind: 'number', default: 3, above: 0, help: 'of each row'},
  rounds: {kind: 'whole', default: 1, least: 1, help: 'of everything; the medians count'},
  members: {
    kind: 'text',
    default: '1,3',
    form: {
      name: '1, 3, 5 or some of them with commas between',
      fits: (text) => /^[135](,[135])*$/.test(text),
    },
    help: 'sizes of the clusters',
  },
  'in-flight': {kind: 'text', default: '1,10,100,1000', form: NUMBERS, help: 'requests at a time'},
  json: {kind: 'text', help: 'a file for the figures'},
});
const {seconds, rounds} = values;

const KINDS = ['put', 'range linearizable', 'range serializable'] as const;
type Kind = (typeof KINDS)[number];

interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all members together. */
  readonly cpuSecondsPer100k: number;
  readonly rssMib: number;
}

interface Row {
  readonly members: number;
  readonly kind: Kind;
  readonly inFlight: number;
  readonly etcd: Measured;
  readonly kvd: Measured;
}

const WARM_UP_SECONDS = 4;
const KEY = Buffer.from('bench/key');
const FRAMES: Record<Kind, {path: string; body: Uint8Array}> = {
  put: {path: '/etcdserverpb.KV/Put', body: frame(field(1, KEY), field(2, Buffer.alloc(256, 'v')))},
  'range linearizable': {path: '/etcdserverpb.KV/Range', body: frame(field(1, KEY))},
  'range serializable': {
    path: '/etcdserverpb.KV/Range',
    body: frame(field(1, KEY), Buffer.from([7 << 3, 1])),
  },
};

/** A protobuf field of bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  const size = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...size]), bytes]);
}

/** gRPC's length-prefixed message. */
function frame(...fields: Uint8Array[]): Buffer {
  const message = Buffer.concat(fields);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

async function leaderOf(cluster: ProcessCluster): Promise<MemberProcess> {
  for (const member of cluster.members) {
    using calls = new EtcdCalls(member.endpoint);
    if (await calls.isLeader()) return member;
  }
  throw new Error('no leader');
}

async function measure(cluster: ProcessCluster, kind: Kind, inFlight: number): Promise<Measured> {
  const leader = await leaderOf(cluster);
  using calls = new EtcdCalls(leader.endpoint);
  await calls.put(KEY, Buffer.alloc(256, 'v'));
  const {path, body} = FRAMES[kind];
  const url = `${leader.clientUrl}${path}`;
  await h2load({url, body, inFlight, seconds: 1});
  const pids = cluster.members.map(({pid}) => pid);
  const revisionBefore = await calls.revision();
  const cpuBefore = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const load = await h2load({url, body, inFlight, seconds});
  const cpu = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0) - cpuBefore;
  const grown = (await calls.revision()) - revisionBefore;
  // Requests that were under way when the run ended may have been written without being counted.
  const expected = kind === 'put' ? load.answered : 0;
  if (load.failed > 0 || grown < expected || grown > expected * 1.01 + (kind === 'put' ? 2 * inFlight : 0)) {
    throw new Error(
      `${kind} × ${inFlight}: ${load.answered} answered, ${load.failed} failed, revision +${grown}`,
    );
  }
  return {
    perSecond: load.perSecond,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    cpuSecondsPer100k: (cpu / load.answered) * 100_000,
    rssMib: Math.max(...pids.map(residentBytes)) / 2 ** 20,
  };
}

/** Servers run for months: what is measured is not the first seconds of a just-in-time compiler, nor of a cold file. */
async function warmUp(cluster: ProcessCluster): Promise<void> {
  const leader = await leaderOf(cluster);
  for (const {path, body} of Object.values(FRAMES)) {
    await h2load({url: `${leader.clientUrl}${path}`, body, inFlight: 100, seconds: WARM_UP_SECONDS});
  }
}

/** The round with the median throughput. */
function median(measured: readonly Measured[]): Measured {
  return [...measured].sort((a, b) => a.perSecond - b.perSecond)[Math.floor(measured.length / 2)];
}

async function rowsFor(members: number): Promise<Row[]> {
  const start = (program: Program) => ProcessCluster.start({program, size: members});
  const clusters = {etcd: await start('etcd'), kvd: await start('kvd')};
  try {
    for (const cluster of Object.values(clusters)) await warmUp(cluster);
    const rows: Row[] = [];
    for (const kind of KINDS) {
      for (const inFlight of values['in-flight'].split(',').map(Number)) {
        const etcd: Measured[] = [];
        const kvd: Measured[] = [];
        for (let round = 0; round < rounds; round++) {
          etcd.push(await measure(clusters.etcd, kind, inFlight));
          kvd.push(await measure(clusters.kvd, kind, inFlight));
        }
        const row = {members, kind, inFlight, etcd: median(etcd), kvd: median(kvd)};
        rows.push(row);
        console.log(line(row));
      }
    }
    return rows;
  } finally {
    await clusters.etcd.destroy();
    await clusters.kvd.destroy();
  }
}

const HEAD = [
  '| members | call | in flight | etcd /s | kvd /s | throughput | etcd p50/p99 ms | kvd p50/p99 ms | p50 | CPU | etcd/kvd RSS MiB |',
  '|---|---|---|---|---|---|---|---|---|---|---|',
].join('\n');

function line({members, kind, inFlight, etcd, kvd}: Row): string {
  const ratio = (a: number, b: number) => `${(a / b).toFixed(2)}×`;
  const times = ({p50Ms, p99Ms}: Measured) => `${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)}`;
  return `| ${[
    members,
    kind,
    inFlight,
    Math.round(etcd.perSecond),
    Math.round(kvd.perSecond),
    ratio(kvd.perSecond, etcd.perSecond),
    times(etcd),
    times(kvd),
    ratio(kvd.p50Ms, etcd.p50Ms),
    ratio(kvd.cpuSecondsPer100k, etcd.cpuSecondsPer100k),
    `${Math.round(etcd.rssMib)} / ${Math.round(kvd.rssMib)}`,
  ].join(' | ')} |`;
}

console.log(HEAD);
const rows: Row[] = [];
for (const members of values.members.split(',').map(Number)) rows.push(...(await rowsFor(members)));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 1)}\n`);
