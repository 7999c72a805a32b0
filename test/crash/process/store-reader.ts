/**
 * A process that opens stores and reads all of them in every way, one after the other, as its standard input asks:
 * LMDB on a damaged file may take it down.
 *
 * In: `<folder>\n`. Out: a line of JSON for each.
 */

import {createHash} from 'node:crypto';
import {createInterface} from 'node:readline';
import {LmdbBackendOpener} from '../../../src/engine/io/lmdb-backend.ts';
import type {Backend} from '../../../src/engine/ports.ts';
import {type AppliedMark, TABLES} from '../../../src/engine/types.ts';

export type StoreReading =
  | {
      readonly kind: 'whole';
      readonly applied: AppliedMark | undefined;
      readonly digests: Record<string, string>;
    }
  | {readonly kind: 'refused'; readonly code: string; readonly message: string; readonly path: string};

for await (const folder of createInterface({input: process.stdin})) {
  process.stdout.write(`${JSON.stringify(await read(folder))}\n`);
}

async function read(folder: string): Promise<StoreReading> {
  let backend: Backend | undefined;
  try {
    backend = await new LmdbBackendOpener(folder).open('store');
    const reading = {kind: 'whole', applied: backend.applied(), digests: digestsOf(backend)} as const;
    await backend.close();
    return reading;
  } catch (error) {
    await backend?.close().catch(() => undefined);
    const {failure} = error as {failure?: {code: string; path?: string}};
    const message = error instanceof Error ? error.message : String(error);
    return {kind: 'refused', code: failure?.code ?? 'unknown', message, path: failure?.path ?? ''};
  }
}

/** Over all records, as scans find them from either end, and as each is found by its key; by the way of reading. */
function digestsOf(backend: Backend): Record<string, string> {
  const hashes = new Map(['scan', 'reverse', 'get', 'seek'].map((way) => [way, createHash('sha256')]));
  const add = (way: string, bytes: Uint8Array | string) => hashes.get(way)?.update(bytes);
  for (const table of TABLES) {
    add('scan', `${table} ${backend.count(table)}\n`);
    const keys: Uint8Array[] = [];
    for (const [key, value] of backend.range(table, {})) {
      keys.push(key);
      add('scan', Buffer.concat([key, Buffer.of(0), value]));
    }
    for (const [key] of backend.range(table, {reverse: true})) add('reverse', key);
    for (const key of keys) {
      const behind = Buffer.concat([key, Buffer.of(0)]);
      add('get', backend.get(table, key) ?? 'absent');
      add('get', backend.get(table, behind) ?? 'absent');
      for (const from of [key, behind]) {
        const next = backend.range(table, {from}).next();
        add('seek', next.done ? 'end' : next.value[0]);
      }
    }
  }
  return Object.fromEntries([...hashes].map(([way, hash]) => [way, hash.digest('hex').slice(0, 16)]));
}
