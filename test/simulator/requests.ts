/** Requests with everything filled in, in short. */

import type {Compare, DeleteRangeRequest, PutRequest, RangeRequest} from '../../src/engine/types.ts';

export const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** The clients' keys. */
export const keyOf = (place: number): string => `k${String(place).padStart(3, '0')}`;

export function rangeOf(key: string, rangeEnd = '', options: Partial<RangeRequest> = {}): RangeRequest {
  return {
    key: bytesOf(key),
    rangeEnd: bytesOf(rangeEnd),
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...options,
  };
}

export function putOf(key: string, value: string, options: Partial<PutRequest> = {}): PutRequest {
  return {
    key: bytesOf(key),
    value: bytesOf(value),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
    ...options,
  };
}

export function deleteOf(
  key: string,
  rangeEnd = '',
  options: Partial<DeleteRangeRequest> = {},
): DeleteRangeRequest {
  return {key: bytesOf(key), rangeEnd: bytesOf(rangeEnd), prevKv: false, ...options};
}

export function compareOf(key: string, rest: Omit<Compare, 'key' | 'rangeEnd'>): Compare {
  return {key: bytesOf(key), rangeEnd: bytesOf(''), ...rest};
}
