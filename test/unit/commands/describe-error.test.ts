import {describe, expect, it} from 'vitest';
import {describeError} from '../../../src/commands/_shared/describe-error.ts';
import {EngineError, type MemberFailure} from '../../../src/engine/errors.ts';

const path = '/data';
const detail = 'what is wrong';

/** One of each: the type makes it complete. */
const FAILURES: {readonly [Code in MemberFailure['code']]: Extract<MemberFailure, {code: Code}>} = {
  diskFull: {code: 'diskFull', path},
  diskError: {code: 'diskError', path, operation: 'write', detail},
  walCorrupt: {code: 'walCorrupt', path, offset: 7, detail},
  markerCorrupt: {code: 'markerCorrupt', path, offset: 0, detail},
  storeCorrupt: {code: 'storeCorrupt', path, detail},
  snapshotInvalid: {code: 'snapshotInvalid', detail},
  exportFailed: {code: 'exportFailed', detail},
  dataDirLocked: {code: 'dataDirLocked', path},
  dataDirUnusable: {code: 'dataDirUnusable', path, detail},
  formatUnsupported: {code: 'formatUnsupported', path, found: '2', supported: '1'},
  dataDirOfEtcd: {code: 'dataDirOfEtcd', path},
  clusterMismatch: {code: 'clusterMismatch', detail},
  configInvalid: {code: 'configInvalid', detail},
};

describe('descriptions of failures', () => {
  it.each(Object.values(FAILURES))(
    'Ensure that $code is told with its data, and not by its code.',
    (failure) => {
      const {line, exitCode} = describeError(new EngineError(failure));
      expect(exitCode).toBe(1);
      expect(line).not.toContain(failure.code);
      if ('detail' in failure) expect(line).toContain(detail);
      if ('path' in failure) expect(line).toContain(path);
      expect(line).not.toContain('\n');
    },
  );

  it('Ensure that what would answer a request is told as a client would hear it.', () => {
    expect(describeError(new EngineError({code: 'stopped'})).line).toBe('etcdserver: server stopped');
  });
});
