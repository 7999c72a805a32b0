/** What is said of damaged data: where it is, and the next command. */

import {describe, expect, it} from 'vitest';
import {describeError} from '../../../src/commands/_shared/describe-error.ts';
import {EngineError} from '../../../src/engine/errors.ts';

const LOG = {code: 'walCorrupt', path: '/d/wal/1.wal', offset: 512, detail: 'wrong checksum'} as const;
const STORE = {code: 'storeCorrupt', path: '/d/store/1', detail: 'wrong checksum'} as const;
const lineOf = (failure: ConstructorParameters<typeof EngineError>[0]) =>
  describeError(new EngineError(failure)).line;

describe('damaged data', () => {
  it('Ensure that a lone member is told to repair or to restore, and nothing of others.', () => {
    const repair = lineOf({...LOG, remedy: 'repair', dataDir: '/d'});
    expect(repair).toMatch(/^\/d\/wal\/1\.wal is damaged at byte 512: wrong checksum; /);
    expect(repair).toContain('kvd wal repair --data-dir=/d');
    expect(repair).toContain('kvd snapshot restore');
    for (const failure of [LOG, STORE]) {
      const restore = lineOf({...failure, remedy: 'restore', dataDir: '/d'});
      expect(restore).toContain(failure.path);
      expect(restore).toContain('kvd snapshot restore FILE --data-dir=/d');
      expect(restore + repair).not.toMatch(/rejoin|member (add|remove)/);
    }
  });

  it('Ensure that a member of many is told to rejoin, and both ways where nobody knows.', () => {
    for (const failure of [LOG, STORE]) {
      const rejoin = lineOf({...failure, remedy: 'rejoin', dataDir: '/d'});
      expect(rejoin).toContain(failure.path);
      expect(rejoin).toMatch(
        /put \/d aside .*kvd member remove.* kvd member add.*--initial-cluster-state=existing/,
      );
      expect(rejoin).not.toContain('snapshot restore');
      expect(lineOf(failure)).toMatch(/kvd member remove, .*kvd snapshot restore/);
    }
  });
});
