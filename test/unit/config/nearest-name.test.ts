import {describe, expect, it} from 'vitest';
import {nearestName} from '../../../src/config/nearest-name.ts';

const NAMES = ['get', 'put', 'del', 'snapshot', 'snapshot-count', 'keep-alive', 'compaction'];

describe('nearest name', () => {
  it.each([
    ['pt', 'put'],
    ['gte', 'get'],
    ['snpashot', 'snapshot'],
    ['snapshots', 'snapshot'],
    ['snapshotcount', 'snapshot-count'],
    ['keepalive', 'keep-alive'],
    ['cmpacton', 'compaction'],
  ])('Ensure that %s is taken for %s.', (word, name) => {
    expect(nearestName(word, NAMES)).toBe(name);
  });

  it.each(['', 'x', 'nonsense', 'tup', 'restore', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'])(
    'Ensure that %j is like no name.',
    (word) => {
      expect(nearestName(word, NAMES)).toBeUndefined();
    },
  );
});
