/**
 * A bit flipped in a snapshot file, at one byte after the other: `snapshot status` and `snapshot restore` refuse it, with
 * the file, the place as near as can be told, and what to do next; and nothing is left where it was to be restored to.
 */

import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describeError} from '../../src/commands/_shared/describe-error.ts';
import {CommandError} from '../../src/commands/_shared/exit.ts';
import {restoreFile} from '../../src/commands/_shared/restore-file.ts';
import {readStatus} from '../../src/commands/_shared/status-file.ts';
import {type Config, parseConfig} from '../../src/config.ts';
import {createSha256} from '../../src/engine/io/digest.ts';
import {exportSnapshot} from '../../src/engine/storage/snapshot-file/image-export.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {MemoryTerminal} from '../unit/commands/memory-terminal.ts';
import {collect} from '../unit/snapshot-file/snapshot-samples.ts';
import {ALONE, passingClock} from './member-world.ts';
import type {Stepwise} from './stepwise.ts';
import {donorStore} from './workloads.ts';

export interface SnapshotFlipReport {
  fileBytes: number;
  flips: number;
  /** Those whose place the file's own structure shows; of others the digest says that there is one. */
  placed: number;
}

/** @throws Error that names the place and what is wrong there */
export async function flipSnapshots(
  options: Stepwise & {
    readonly seed: number;
    /** Every so many-th byte; 1: each. */
    readonly every: number;
  },
): Promise<SnapshotFlipReport> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-flip-snapshots-'));
  const path = join(root, 'backup.db');
  try {
    const bytes = await makeSnapshot();
    writeFileSync(path, bytes);
    await expectSound(path, join(root, 'sound'));
    const report = {fileBytes: bytes.length, flips: 0, placed: 0};
    const random = new SeededRandom(options.seed);
    const file = openSync(path, 'r+');
    for (let at = options.seed % options.every; at < bytes.length; at += options.every) {
      writeSync(file, Buffer.of(bytes[at] ^ (1 << random.below(8))), 0, 1, at);
      try {
        const line = await refusalOf(path, join(root, 'restored'));
        if (/page \d+ at byte \d+: /.test(line)) report.placed++;
      } catch (error) {
        throw new Error(`byte ${at} of ${bytes.length}: ${String(error)}`, {cause: error});
      }
      writeSync(file, bytes, at, 1, at);
      report.flips++;
      options.onStep?.(report);
    }
    closeSync(file);
    // Each of them was put back.
    await expectSound(path, join(root, 'sound again'));
    return report;
  } finally {
    rmSync(root, {recursive: true, force: true});
  }
}

async function makeSnapshot(): Promise<Buffer> {
  const store = await donorStore(ALONE, 40);
  const {chunks} = await exportSnapshot(store.view(), {clock: passingClock, sha256: createSha256});
  return collect(chunks);
}

async function expectSound(path: string, dataDir: string): Promise<void> {
  const {totalKeys} = await readStatus(path);
  if (totalKeys === 0) throw new Error('a snapshot with nothing in it proves nothing');
  await restore(path, configOf(dataDir));
}

/** @returns the line that both commands end with */
async function refusalOf(path: string, dataDir: string): Promise<string> {
  const lines = [
    await lineOf(readStatus(path).then((status) => `taken: ${JSON.stringify(status)}`)),
    await lineOf(restore(path, configOf(dataDir)).then(() => 'restored')),
  ];
  const [line] = lines;
  if (lines.some((other) => other !== line)) throw new Error(`two answers: ${lines.join(' | ')}`);
  if (!line.startsWith(`${path} is not a sound snapshot: `)) throw new Error(line);
  if (!/ byte \d+/.test(line) || line.includes('undefined')) throw new Error(`without a place: ${line}`);
  if (!line.endsWith('; use another backup, or save a new one: kvd snapshot save FILE'))
    throw new Error(line);
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) throw new Error('something was restored');
  return line;
}

async function lineOf(taken: Promise<string>): Promise<string> {
  try {
    return await taken;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return describeError(error).line;
  }
}

function restore(path: string, config: Config): Promise<unknown> {
  const terminal = new MemoryTerminal();
  return restoreFile({path, config, bumpRevision: 0, skipHashCheck: false, terminal});
}

function configOf(dataDir: string): Config {
  const {config} = parseConfig({flags: new Map([['data-dir', dataDir]]), environment: {}});
  return config;
}
