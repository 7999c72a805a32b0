/**
 * Whether this member is fit to serve: `/health` as etcd has always had it, `/livez` and `/readyz` with one named
 * check after the other. Reads are made as root and limited to one key.
 */

import type {IncomingMessage, ServerResponse} from 'node:http';
import {EngineError} from '../../engine/errors.ts';
import {EMPTY_BYTES} from '../../engine/lib/bytes.ts';
import {AlarmType} from '../../engine/types.ts';
import {ALARM_NAMES} from './alarm-names.ts';
import {statusOf} from './error-status.ts';
import {refusesMethod, replyJson, replyNotFound, replyText} from './http-reply.ts';
import type {ServerFace} from './services/service.ts';

type HealthServer = Pick<ServerFace, 'alarms' | 'leader' | 'isLearner' | 'range'>;

/** Resolves, or rejects with what is wrong. */
type Check = (server: HealthServer) => Promise<void>;

const CHECKS: Readonly<Record<string, Check>> = {
  data_corruption: async (server) => {
    const {result} = await server.alarms();
    if (result.some(({alarm}) => alarm === AlarmType.corrupt)) throw new Error('alarm activated: CORRUPT');
  },
  serializable_read: (server) => read(server, {serializable: true}),
  linearizable_read: (server) => read(server, {serializable: false}),
  non_learner: async (server) => {
    if (server.isLearner()) throw new EngineError({code: 'notSupportedForLearner'});
  },
};

const PROBES: Readonly<Record<string, readonly string[]>> = {
  '/livez': ['serializable_read'],
  '/readyz': ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'],
};

/** `/health` with `exclude=ALARM` (any number) and `serializable=true`. */
export async function answerHealth(
  server: HealthServer,
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
): Promise<void> {
  if (refusesMethod(request, response)) return;
  const serializable = query.get('serializable') === 'true';
  const reason = await findIllness(server, {serializable, excluded: new Set(query.getAll('exclude'))});
  replyJson(response, reason === '' ? 200 : 503, {health: String(reason === ''), reason});
}

/** @returns etcd's words for what is wrong, or nothing */
async function findIllness(
  server: HealthServer,
  {serializable, excluded}: {serializable: boolean; excluded: ReadonlySet<string>},
): Promise<string> {
  try {
    const {result: alarms} = await server.alarms();
    for (const {alarm} of alarms) {
      const name = ALARM_NAMES.get(alarm) ?? 'UNKNOWN';
      if (!excluded.has(name)) return `ALARM ${name}`;
    }
    if (!serializable && server.leader() === 0n) return 'RAFT NO LEADER';
    await read(server, {serializable});
    return '';
  } catch (error) {
    return `RANGE ERROR:${describe(error)}`;
  }
}

/** `/livez`, `/readyz` and one check of theirs by itself. @returns false: the path is no probe's */
export async function answerProbe(
  server: HealthServer,
  request: IncomingMessage,
  response: ServerResponse,
  {path, query}: {path: string; query: URLSearchParams},
): Promise<boolean> {
  const [, probe, check] = /^(\/livez|\/readyz)(?:\/([^/]*))?$/.exec(path) ?? [];
  if (probe === undefined) return false;
  const all = PROBES[probe];
  if (check !== undefined && check !== '' && !all.includes(check)) {
    replyNotFound(response);
    return true;
  }
  if (refusesMethod(request, response)) return true;
  const excluded = new Set(query.getAll('exclude'));
  const names = check ? [check] : all.filter((name) => !excluded.has(name));
  await runChecks(server, response, {names, isVerbose: query.has('verbose')});
  return true;
}

async function runChecks(
  server: HealthServer,
  response: ServerResponse,
  {names, isVerbose}: {names: readonly string[]; isVerbose: boolean},
): Promise<void> {
  let lines = '';
  let isFit = true;
  for (const name of names) {
    try {
      await CHECKS[name](server);
      lines += `[+]${name} ok\n`;
    } catch (error) {
      isFit = false;
      lines += `[-]${name} failed: ${describe(error)}\n`;
    }
  }
  if (isFit) replyText(response, 200, isVerbose ? `${lines}ok\n` : 'ok\n');
  else replyText(response, 503, lines);
}

async function read(server: HealthServer, {serializable}: {serializable: boolean}): Promise<void> {
  await server.range({
    key: Buffer.from('health'),
    rangeEnd: EMPTY_BYTES,
    limit: 1,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable,
    keysOnly: true,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  });
}

function describe(error: unknown): string {
  if (error instanceof EngineError) return statusOf(error.code).message;
  return error instanceof Error ? error.message : String(error);
}
