/**
 * A bit flipped in LMDB's file, again and again at places drawn by seed. Reading it gives what was there, or refuses
 * and names the file; it may take the process down. It never gives anything else.
 */

import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {LmdbBackendOpener} from '../../../src/engine/io/lmdb-backend.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import type {Stepwise} from '../stepwise.ts';
import {ChildReader, type Died} from './child-reader.ts';
import type {StoreReading} from './store-reader.ts';

export interface StoreFlipReport {
  fileBytes: number;
  flips: number;
  whole: number;
  refused: number;
  /** By signal. */
  died: Record<string, number>;
  /** Processes that died of a file which another one read: what they had read before had harmed them. */
  diedLate: number;
  /** What should not be: what was read was something else. */
  wrong: string[];
}

export async function flipStore(
  options: Stepwise & {
    readonly flips: number;
    readonly seed: number;
  },
): Promise<StoreFlipReport> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-flip-store-'));
  const reader = new ChildReader<StoreReading>('test/crash/process/store-reader.ts');
  try {
    const file = await makeStore(join(root, 'sound'));
    const bytes = readFileSync(file);
    const sound = await reader.ask(join(root, 'sound'));
    if (sound.kind !== 'whole') throw new Error(`the sound store is not read: ${JSON.stringify(sound)}`);
    const report: StoreFlipReport = {
      fileBytes: bytes.length,
      flips: 0,
      whole: 0,
      refused: 0,
      died: {},
      diedLate: 0,
      wrong: [],
    };
    const random = new SeededRandom(options.seed);
    for (let i = 0; i < options.flips; i++) {
      const {at, bit} = placeOf(bytes, random, i);
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 1 << bit;
      const folder = join(root, `flipped-${i}`);
      let reading = await readFlipped(reader, folder, damaged);
      if (reading.kind === 'died') {
        // The one that is asked now is a fresh process.
        const alone = await readFlipped(reader, folder, damaged);
        if (alone.kind !== 'died') report.diedLate++;
        reading = alone;
      }
      report.flips++;
      const place = `bit ${bit} of byte ${at}`;
      if (reading.kind === 'died') {
        report.died[reading.how] = (report.died[reading.how] ?? 0) + 1;
        const next = await reader.ask(folder);
        const isNamed =
          next.kind === 'refused' && next.code === 'storeCorrupt' && next.path.endsWith('/1.mdb');
        if (!isNamed)
          report.wrong.push(`${place}: died by ${reading.how}, and then: ${JSON.stringify(next)}`);
      } else if (reading.kind === 'refused') {
        report.refused++;
        const isNamed = reading.path.startsWith(join(folder, 'store'));
        if (!['storeCorrupt', 'formatUnsupported'].includes(reading.code) || !isNamed)
          report.wrong.push(`${place}: ${reading.message}`);
      } else {
        const ways = Object.keys(sound.digests).filter((way) => reading.digests[way] !== sound.digests[way]);
        if (ways.length === 0 && reading.applied?.index === sound.applied?.index) report.whole++;
        else report.wrong.push(`${place}: ${ways.join()} differ, at ${reading.applied?.index}`);
      }
      rmSync(folder, {recursive: true, force: true});
      options.onStep?.(report);
    }
    return report;
  } finally {
    await reader.stop();
    rmSync(root, {recursive: true, force: true});
  }
}

/** As nobody has read it before. */
function readFlipped(
  reader: ChildReader<StoreReading>,
  folder: string,
  file: Buffer,
): Promise<StoreReading | Died> {
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(join(folder, 'store'), {recursive: true});
  writeFileSync(join(folder, 'store', '1.mdb'), file);
  return reader.ask(folder);
}

/** Half of them where they are of the page's own: its head and its table of contents. */
function placeOf(bytes: Buffer, random: SeededRandom, i: number): {at: number; bit: number} {
  const page = random.below(Math.floor(bytes.length / 4096)) * 4096;
  const at = page + (i % 2 === 0 ? random.below(160) : random.below(4096));
  return {at, bit: random.below(8)};
}

/** Small, but with branches, long values, free pages and more than one table. @returns its file */
async function makeStore(folder: string): Promise<string> {
  const backend = await new LmdbBackendOpener(folder).open('store');
  for (let round = 1; round <= 4; round++) {
    const puts = Array.from({length: 250}, (_, i) => ({
      table: i % 9 === 0 ? ('lease' as const) : ('key' as const),
      key: Buffer.from(`key ${String(i * round).padStart(6, '0')} ${'k'.repeat(i % 40)}`),
      value: Buffer.alloc(i % 50 === 0 ? 6_000 : 60 + (i % 90), `value ${i} of ${round} `),
    }));
    const deletes = puts.filter((_, i) => i % 3 === round % 3).slice(0, 60);
    await backend.commit({puts, deletes, applied: {index: round, term: 1, hash: round * 7}});
  }
  await backend.close();
  const store = join(folder, 'store');
  const name = readdirSync(store).find((entry) => entry.endsWith('.mdb'));
  if (name === undefined) throw new Error('the store has no file');
  return join(store, name);
}
