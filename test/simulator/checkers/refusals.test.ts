/** Refusals that cannot be right are noticed; those that can are not. */

import {beforeEach, describe, expect, it} from 'vitest';
import {Refusals} from './refusals.ts';

describe('what clients are refused', () => {
  let found: string[];
  let refusals: Refusals;
  const model = {compactRevision: 5};

  beforeEach(() => {
    found = [];
    refusals = new Refusals({
      model,
      leases: {livesSurely: (id) => id === 7n},
      violate: (invariant) => found.push(invariant),
    });
  });

  it.each([
    ['of a compacted revision', 4, 9],
    ['of the current one, which was compacted meanwhile', 0, 4],
  ])('Ensure that only a read %s may be refused as compacted.', (_what, revision, reached) => {
    refusals.read('c1', 'compacted', {revision, reached});
    expect(found).toEqual([]);
    refusals.read('c1', 'compacted', {revision: 5, reached});
    refusals.read('c1', 'compacted', {revision: 0, reached: 5});
    expect(found).toEqual(['refusals', 'refusals']);
  });

  it('Ensure that a read of a revision that was shown before is not refused as one to come.', () => {
    refusals.read('c1', 'futureRevision', {revision: 10, reached: 9});
    refusals.read('c1', 'timeout', {revision: 9, reached: 9});
    expect(found).toEqual([]);
    refusals.read('c1', 'futureRevision', {revision: 9, reached: 9});
    refusals.read('c1', 'futureRevision', {revision: 0, reached: 0});
    refusals.read('c1', 'leaseNotFound', {revision: 0, reached: 0});
    expect(found).toEqual(['refusals', 'refusals', 'refusals']);
  });

  it('Ensure that a compaction is refused only where there was one already, or beyond what was shown.', () => {
    refusals.compact('c1', 'compacted', {revision: 5, floor: 9});
    refusals.compact('c1', 'futureRevision', {revision: 10, floor: 9});
    expect(found).toEqual([]);
    refusals.compact('c1', 'compacted', {revision: 6, floor: 9});
    refusals.compact('c1', 'futureRevision', {revision: 9, floor: 9});
    expect(found).toEqual(['refusals', 'refusals']);
  });

  it('Ensure that a write is refused for its leases only when one may be gone, and for no revision.', () => {
    refusals.write('c1', 'leaseNotFound', {leases: [7n, 8n]});
    refusals.write('c1', 'noSpace', {leases: []});
    expect(found).toEqual([]);
    refusals.write('c1', 'leaseNotFound', {leases: [7n, 0n]});
    refusals.write('c1', 'leaseNotFound', {leases: []});
    refusals.write('c1', 'compacted', {leases: []});
    refusals.write('c1', 'futureRevision', {leases: []});
    expect(found).toEqual(['refusals', 'refusals', 'refusals', 'refusals']);
  });
});
