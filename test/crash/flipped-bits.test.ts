/** A bit flipped at each byte of log, marker, snapshot file and image: a share of what `npm run crash` does. */

import {describe, expect, it, vi} from 'vitest';
import {EngineError} from '../../src/engine/errors.ts';
import {readStateImage} from '../../src/engine/storage/state-image.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {flipEverywhere} from './flip-everywhere.ts';
import {flipSnapshots} from './flip-snapshots.ts';
import {FOUNDER, passingClock} from './member-world.ts';
import {RecordingBackends} from './recording-backend.ts';
import {donorImage, WORKLOADS} from './workloads.ts';

// Seconds of work, on a machine that may be busy.
vi.setConfig({testTimeout: 120_000});

describe('a flipped bit in the files', () => {
  for (const workload of WORKLOADS) {
    it(`Ensure that it is borne, learned again or refused with place and command: ${workload.name}.`, async () => {
      const report = await flipEverywhere(workload, {
        length: 1,
        seed: 1,
        every: 5,
        zeroStep: 97,
        startEvery: 41,
      });
      expect(report.whole + report.learnsAgain + report.refused).toBe(report.flips);
      expect(report.refused).toBeGreaterThan(report.flips / 2);
      // A lone member has nobody to learn from.
      expect(report.learnsAgain > 0).toBe(workload.birth.cluster.length > 1);
      expect(report.starts).toBeGreaterThan(100);
    });
  }
});

describe('a flipped bit in a snapshot file', () => {
  it('Ensure that status and restore refuse it with file, place and command.', async () => {
    const report = await flipSnapshots({seed: 1, every: 199});
    expect(report.flips).toBeGreaterThan(300);
    // Most of what is in it is records, and room.
    expect(report.placed).toBeGreaterThan(3);
    expect(report.placed).toBeLessThan(report.flips);
  });
});

describe('a flipped bit in an image on its way', () => {
  it('Ensure that each byte of it is looked at: the image is refused, and nothing of it is marked whole.', async () => {
    const image = await donorImage(FOUNDER, 12);
    const pieces: Uint8Array[] = [];
    for await (const piece of image().chunks) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    const random = new SeededRandom(3);
    expect(bytes.length).toBeGreaterThan(1_000);
    for (let at = -1; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      if (at >= 0) damaged[at] ^= 1 << random.below(8);
      const backend = await new RecordingBackends({clock: passingClock}).open('image');
      const outcome = await readStateImage(chunked(damaged), backend).then(
        () => 'taken',
        (error: unknown) => (error instanceof EngineError ? error.code : String(error)),
      );
      expect(outcome, `byte ${at}`).toBe(at < 0 ? 'taken' : 'snapshotInvalid');
      expect(backend.applied()?.index, `byte ${at}`).toBe(at < 0 ? image().mark.index : undefined);
      await backend.close();
    }
  });
});

async function* chunked(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000);
}
