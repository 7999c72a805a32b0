import {describe, expect, it} from 'vitest';
import {formatDuration, parseDurationMs} from '../../../src/config/duration.ts';

describe('duration', () => {
  it.each([
    ['0', 0],
    ['5s', 5_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['.5m', 30_000],
    ['250ms', 250],
    ['5us', 0.005],
    ['5µs', 0.005],
    ['-2m', -120_000],
    ['1000000ns', 1],
  ])('Ensure that %s is read as Go reads it.', (text, milliseconds) => {
    expect(parseDurationMs(text)).toBe(milliseconds);
  });

  it.each(['', '5', 's', '5 s', '1x', '1h 2m', '1,5s', '5sx'])('Ensure that %j is no duration.', (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });

  it.each([
    [0, '0s'],
    [0.000001, '1ns'],
    [0.0015, '1.5µs'],
    [2.068413, '2.068413ms'],
    [1_500, '1.5s'],
    [60_000, '1m0s'],
    [5_400_000, '1h30m0s'],
    [-250, '-250ms'],
  ])('Ensure that %d ms is written as Go writes it.', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  it('Ensure that a very long number without a unit is refused at once.', () => {
    const before = process.cpuUsage();
    expect(parseDurationMs('1'.repeat(120_000))).toBeUndefined();
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  });
});
