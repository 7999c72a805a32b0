/** Restores a snapshot file with the real parts: disk, backend, clock. */

import type {Config} from '../../config.ts';
import {EngineError} from '../../engine/errors.ts';
import {NodeClock} from '../../engine/io/clock.ts';
import {createSha1, createSha256} from '../../engine/io/digest.ts';
import {NodeDisk} from '../../engine/io/disk.ts';
import {lockFolder} from '../../engine/io/folder-lock.ts';
import {LmdbBackendOpener} from '../../engine/io/lmdb-backend.ts';
import {createLogger} from '../../engine/io/logger.ts';
import {MetricRegistry} from '../../engine/io/metrics.ts';
import {type RestoreResult, restoreSnapshot} from '../../engine/storage/snapshot-file/restore-snapshot.ts';
import {SnapshotFile} from '../../engine/storage/snapshot-file/snapshot-file.ts';
import {KVD_VERSION} from '../../engine/version.ts';
import {CommandError, ExitCode} from './exit.ts';
import {ProgressBar} from './progress-bar.ts';
import {openReadOnly} from './read-only-file.ts';
import type {Terminal} from './terminal.ts';
import {orUnsound} from './unsound-snapshot.ts';

export interface RestoreFileOptions {
  readonly path: string;
  readonly config: Config;
  /** 0: none. */
  readonly bumpRevision: number;
  readonly skipHashCheck: boolean;
  readonly terminal: Terminal;
}

/** @throws CommandError when the file or the folder cannot be used */
export async function restoreFile(options: RestoreFileOptions): Promise<RestoreResult> {
  const file = await openReadOnly(options.path);
  const bar = new ProgressBar(options.terminal, 'restoring');
  try {
    const snapshot = await SnapshotFile.open(file);
    const clock = new NodeClock();
    if (!options.skipHashCheck) {
      if (!snapshot.hasDigest) {
        throw new CommandError(ExitCode.error, 'snapshot missing hash but --skip-hash-check=false');
      }
      await snapshot.verifyDigest({sha256: createSha256, clock});
    }
    return await restore(snapshot, clock, bar, options);
  } catch (error) {
    throw explained(error, options);
  } finally {
    bar.end();
    await file.close();
  }
}

async function restore(
  file: SnapshotFile,
  clock: NodeClock,
  bar: ProgressBar,
  {config, bumpRevision}: RestoreFileOptions,
): Promise<RestoreResult> {
  const ports = {
    disk: new NodeDisk(config.dataDir),
    lock: lockFolder,
    backendOpener: new LmdbBackendOpener(config.dataDir),
    clock,
    // What goes wrong comes as an error; the rest is not worth a line here.
    logger: await createLogger({level: 'error', format: 'console'}),
    metrics: new MetricRegistry(),
    sha1: createSha1,
  };
  return restoreSnapshot(ports, {
    file,
    name: config.name,
    initialCluster: new Map(config.initialCluster.map(({name, peerUrls}) => [name, peerUrls])),
    initialClusterToken: config.initialClusterToken,
    initialAdvertisePeerURLs: config.initialAdvertisePeerUrls,
    bumpRevision: bumpRevision > 0 ? bumpRevision : undefined,
    markCompacted: bumpRevision > 0,
    madeBy: `kvd ${KVD_VERSION}`,
    onProgress: (bytes) => bar.update(bytes, file.totalSize),
  });
}

/** The failures of a restore in the words of etcd's tool, which scripts know. */
function explained(error: unknown, {path, config}: RestoreFileOptions): unknown {
  if (!(error instanceof EngineError)) return error;
  const {failure} = error;
  if (failure.code === 'snapshotInvalid') return orUnsound(error, path);
  if (failure.code === 'dataDirUnusable' || failure.code === 'dataDirOfEtcd') {
    const detail = failure.code === 'dataDirUnusable' ? failure.detail : 'it holds the data of an etcd';
    const line = `data-dir "${config.dataDir}" not empty or could not be read: ${detail}`;
    return new CommandError(ExitCode.error, line, error);
  }
  return error;
}
