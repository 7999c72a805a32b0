/** Several targets, one after the other and side by side: on the clock of the test. */

import {afterEach, beforeEach, describe, expect, it, vi} from 'vitest';
import {firstReady, HEAD_START_MS} from '../../../src/transport/client/first-ready.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Attempts whose end the test decides. */
function attempts() {
  const begun = new Map<string, {resolve: (result: string) => void; reject: (error: Error) => void}>();
  const attempt = (target: string): Promise<string> =>
    new Promise((resolve, reject) => {
      begun.set(target, {resolve, reject});
    });
  return {begun, attempt, names: () => [...begun.keys()].join('')};
}

describe('first ready', () => {
  it('Ensure that a target that is ready at once is the only one that is tried.', async () => {
    const {begun, attempt, names} = attempts();
    const found = firstReady(['a', 'b', 'c'], attempt);
    begun.get('a')?.resolve('A');
    expect(await found).toEqual({target: 'a', result: 'A'});
    await vi.advanceTimersByTimeAsync(10 * HEAD_START_MS);
    expect(names()).toBe('a');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('Ensure that a failure brings the next target at once, and silence brings it after the head start.', async () => {
    const {begun, attempt, names} = attempts();
    const found = firstReady(['a', 'b', 'c', 'd'], attempt);
    begun.get('a')?.reject(new Error('refused'));
    await vi.advanceTimersByTimeAsync(0);
    expect(names()).toBe('ab');
    await vi.advanceTimersByTimeAsync(HEAD_START_MS - 1);
    expect(names()).toBe('ab');
    await vi.advanceTimersByTimeAsync(1);
    expect(names()).toBe('abc');
    begun.get('b')?.resolve('late, but first');
    expect(await found).toEqual({target: 'b', result: 'late, but first'});
    begun.get('c')?.reject(new Error('of no interest'));
    await vi.advanceTimersByTimeAsync(10 * HEAD_START_MS);
    expect(names()).toBe('abc');
  });

  it('Ensure that it has failed when every target has, and not before.', async () => {
    const {begun, attempt} = attempts();
    let isDecided = false;
    const found = firstReady(['a', 'b'], attempt).finally(() => {
      isDecided = true;
    });
    await vi.advanceTimersByTimeAsync(HEAD_START_MS);
    begun.get('b')?.reject(new Error('refused'));
    await vi.advanceTimersByTimeAsync(10 * HEAD_START_MS);
    expect(isDecided).toBe(false);
    begun.get('a')?.reject(new Error('no answer'));
    expect(await found).toBeUndefined();
  });
});
