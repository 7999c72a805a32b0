/** How both threads open LMDB: they share one environment, so they must agree. */

import type {DatabaseOptions, RootDatabaseOptionsWithPath} from 'lmdb';
import {BACKEND_MAP_BYTES, BACKEND_READERS_MAX} from '../limits.ts';
import {TABLES} from '../types.ts';

export const RECORD_ENCODING: DatabaseOptions = {encoding: 'binary', keyEncoding: 'binary'};

export function lmdbOptions(path: string): RootDatabaseOptionsWithPath {
  return {
    path,
    noSubdir: true,
    maxDbs: TABLES.length + 1,
    maxReaders: BACKEND_READERS_MAX,
    mapSize: BACKEND_MAP_BYTES,
    // A commit is durable when it returns; the lazy writer makes it rare enough.
    overlappingSync: false,
    ...RECORD_ENCODING,
  };
}
