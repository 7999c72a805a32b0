/** Sizes and shares as etcdctl prints them. Pure. */

import {hex64} from '../../engine/lib/hex64.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** Powers of 1000: `20 kB`, `1.1 MB`; below 10 one decimal, unless it is a whole number of bytes. */
export function formatBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3 + 1e-12), UNITS.length - 1);
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : roundHalfEven(value)} ${UNITS[power]}`;
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** The part of `size` that is not in use, in whole percents. */
export function percentUnused(size: number, inUse: number): string {
  return size === 0 ? '0%' : `${Math.trunc(100 - (inUse * 100) / size)}%`;
}

/** 16 digits with zeros in front. */
export function hexId(id: bigint): string {
  return hex64(id).padStart(16, '0');
}

/** 16 columns with spaces in front. */
export function spacedHexId(id: bigint): string {
  return hex64(id).padStart(16, ' ');
}
