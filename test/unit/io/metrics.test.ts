/** The metric registry: the text that Prometheus reads, byte for byte. */

import {describe, expect, it} from 'vitest';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {registerProcessMetrics} from '../../../src/engine/io/process-metrics.ts';

describe('the metrics', () => {
  it('Ensure that counters, gauges and histograms are written as Prometheus reads them, sorted by name.', () => {
    const metrics = new MetricRegistry();
    const seconds = metrics.histogram('b_seconds', 'How long.', [0.001, 0.5, 8.192]);
    for (const value of [0.0005, 0.001, 0.2, 9]) seconds.observe(value);
    metrics.counter('c_total', 'Things.', {grpc_type: 'unary', a: 'x "y"\\\n'}).add(2);
    metrics.counter('c_total', 'Things.').add(0.5);
    metrics.gauge('a_bytes', 'Two\nlines.').set(1_234_567);
    expect(metrics.exposition()).toBe(
      [
        '# HELP a_bytes Two\\nlines.',
        '# TYPE a_bytes gauge',
        'a_bytes 1.234567e+06',
        '# HELP b_seconds How long.',
        '# TYPE b_seconds histogram',
        'b_seconds_bucket{le="0.001"} 2',
        'b_seconds_bucket{le="0.5"} 3',
        'b_seconds_bucket{le="8.192"} 3',
        'b_seconds_bucket{le="+Inf"} 4',
        'b_seconds_sum 9.2015',
        'b_seconds_count 4',
        '# HELP c_total Things.',
        '# TYPE c_total counter',
        'c_total{a="x \\"y\\"\\\\\\n",grpc_type="unary"} 2',
        'c_total 0.5',
        '',
      ].join('\n'),
    );
  });

  it('Ensure that numbers look as Go prints them.', () => {
    const metrics = new MetricRegistry();
    const gauge = metrics.gauge('g', 'G.');
    const shown = [0, -1, 0.0001, 0.00001, 999_999, 1_000_000, 2 ** 40, Number.NaN, Infinity, -Infinity].map(
      (value) => {
        gauge.set(value);
        return metrics.exposition().split('\n')[2];
      },
    );
    expect(shown).toEqual([
      'g 0',
      'g -1',
      'g 0.0001',
      'g 1e-05',
      'g 999999',
      'g 1e+06',
      'g 1.099511627776e+12',
      'g NaN',
      'g +Inf',
      'g -Inf',
    ]);
  });

  it('Ensure that asking twice gives the same metric, whatever the order of labels, and a clash is told.', () => {
    const metrics = new MetricRegistry();
    const one = metrics.counter('c', 'C.', {a: '1', b: '2'});
    expect(metrics.counter('c', 'C.', {b: '2', a: '1'})).toBe(one);
    expect(metrics.counter('c', 'C.', {a: '1', b: '3'})).not.toBe(one);
    expect(() => metrics.gauge('c', 'C.')).toThrow('is a counter');
    expect(() => metrics.gauge('no spaces', 'C.')).toThrow('invalid');
    expect(() => metrics.histogram('h', 'H.', [1, 1])).toThrow('ascend');
  });

  it('Ensure that the process is measured under the usual names.', () => {
    const metrics = new MetricRegistry();
    registerProcessMetrics(metrics);
    const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(metrics.exposition())?.[1]);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    expect(value('process_virtual_memory_bytes')).toBeGreaterThan(1e7);
    expect(value('process_open_fds')).toBeGreaterThan(2);
    expect(value('os_fd_limit')).toBe(value('process_max_fds'));
    expect(value('process_max_fds')).toBeGreaterThan(100);
    const before = value('process_cpu_seconds_total');
    expect(before).toBeGreaterThan(0);
    expect(value('process_cpu_seconds_total')).toBeGreaterThanOrEqual(before);
    const age = Date.now() / 1000 - value('process_start_time_seconds');
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThan(3600);
  });
});
