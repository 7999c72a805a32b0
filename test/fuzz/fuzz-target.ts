/** A decoder under fuzz: right inputs to begin with, and the only ways in which it may refuse a wrong one. */

import {isDeepStrictEqual} from 'node:util';
import {EngineError, type EngineErrorCode} from '../../src/engine/errors.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** Right inputs. */
  readonly samples: readonly Uint8Array[];
  /**
   * A wrong input made by somebody who knows the format: lengths and checksums are right again, what they hold is not.
   * Half of the inputs come from here; the others are samples with any bytes changed.
   */
  readonly malform?: ((random: SeededRandom) => Uint8Array) | undefined;
  /**
   * Decodes and looks at what came out: what is taken must read the same when it is written again, or keep another
   * promise. Throws or rejects for a wrong input, and for a broken promise.
   */
  readonly run: (bytes: Buffer) => unknown;
  /** Whether it may end so. */
  readonly isRefusal: (error: unknown) => boolean;
}

export const neverRefuses = (): boolean => false;

/** Refuses with these codes alone. */
export function refusesWith(...codes: EngineErrorCode[]): (error: unknown) => boolean {
  return (error) => error instanceof EngineError && codes.includes(error.code);
}

/** Thrown where a decoder took an input and then did not keep what it promises of it. */
export class BrokenPromise extends Error {}

export function promise(isKept: boolean, what: string): void {
  if (!isKept) throw new BrokenPromise(what);
}

/** What is written again must be read as the same. */
export function promiseSame(
  again: unknown,
  first: unknown,
  what = 'it reads otherwise when written again',
): void {
  if (isDeepStrictEqual(again, first)) return;
  throw new BrokenPromise(`${what}: ${shown(first)} became ${shown(again)}`);
}

function shown(value: unknown): string {
  const text =
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part)) ?? 'undefined';
  return text.slice(0, 400);
}
