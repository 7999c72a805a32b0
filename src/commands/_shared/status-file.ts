/** Reads a snapshot file with the real parts, to see whether it is sound and what is in it. */

import type {SnapshotStatus} from '../../engine/storage/snapshot-file/snapshot-status.ts';
import {openReadOnly} from './read-only-file.ts';
import {orUnsound} from './unsound-snapshot.ts';

/** @throws CommandError when there is no such file, or it is damaged */
export async function readStatus(path: string): Promise<SnapshotStatus> {
  const [{SnapshotFile}, {readSnapshotStatus}, {createSha256}, {NodeClock}] = await Promise.all([
    import('../../engine/storage/snapshot-file/snapshot-file.ts'),
    import('../../engine/storage/snapshot-file/snapshot-status.ts'),
    import('../../engine/io/digest.ts'),
    import('../../engine/io/clock.ts'),
  ]);
  const file = await openReadOnly(path);
  try {
    const snapshot = await SnapshotFile.open(file);
    // A copy of a database has no digest; etcdctl takes those, too.
    if (snapshot.hasDigest) await snapshot.verifyDigest({sha256: createSha256, clock: new NodeClock()});
    return await readSnapshotStatus(snapshot);
  } catch (error) {
    throw orUnsound(error, path);
  } finally {
    await file.close();
  }
}
