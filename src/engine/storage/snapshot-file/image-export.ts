/** A snapshot file of one image, and its hash, from a view that goes with them. */

import type {BackendReader, Clock, Digest, SnapshotStream} from '../../ports.ts';
import {hashRecords} from './record-hash.ts';
import {planSnapshot, type SnapshotPlan, writeSnapshot} from './snapshot-writer.ts';

type View = BackendReader & {close(): void};

interface ExportPorts {
  readonly clock: Clock;
  readonly sha256: () => Digest;
}

/** Closes the view when the chunks have been read or returned, and after a failure. */
export async function exportSnapshot(view: View, ports: ExportPorts): Promise<SnapshotStream> {
  try {
    const plan = await planSnapshot(view, ports.clock);
    return {totalBytes: plan.totalBytes, chunks: write(plan, view, ports)};
  } catch (error) {
    view.close();
    throw error;
  }
}

export async function exportHash(view: View, clock: Clock): Promise<number> {
  try {
    return await hashRecords(view, clock);
  } finally {
    view.close();
  }
}

async function* write(plan: SnapshotPlan, view: View, ports: ExportPorts): AsyncIterable<Uint8Array> {
  try {
    yield* writeSnapshot(plan, view, ports);
  } finally {
    view.close();
  }
}
