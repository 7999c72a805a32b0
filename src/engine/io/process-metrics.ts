/** What the process itself costs, under the names that every Prometheus client library uses. */

import {closeSync, openSync, readdirSync, readFileSync, readSync} from 'node:fs';
import {constants, PerformanceObserver} from 'node:perf_hooks';
import type {MetricRegistry} from './metrics.ts';

/** Registers the process_*, os_fd_* and nodejs_* metrics; values are read at each exposition. */
export function registerProcessMetrics(metrics: MetricRegistry): void {
  const residentBytes = metrics.gauge('process_resident_memory_bytes', 'Resident memory size in bytes.');
  const virtualBytes = metrics.gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.');
  const cpuSeconds = metrics.counter(
    'process_cpu_seconds_total',
    'User and system CPU time spent in seconds.',
  );
  const startSeconds = metrics.gauge(
    'process_start_time_seconds',
    'Start time of the process since the Unix epoch in seconds.',
  );
  const openFds = metrics.gauge('process_open_fds', 'Number of open file descriptors.');
  const maxFds = metrics.gauge('process_max_fds', 'Maximum number of open file descriptors.');
  const fdUsed = metrics.gauge('os_fd_used', 'The number of used file descriptors.');
  const fdLimit = metrics.gauge('os_fd_limit', 'The file descriptor limit.');
  const heapUsed = metrics.gauge('nodejs_heap_size_used_bytes', 'Bytes of the heap that hold objects.');
  const heapTotal = metrics.gauge('nodejs_heap_size_total_bytes', 'Bytes that the heap has taken.');
  const external = metrics.gauge(
    'nodejs_external_memory_bytes',
    'Bytes outside the heap that objects in it own.',
  );
  metrics.gauge('nodejs_version_info', 'The version of Node.js.', {version: process.version}).set(1);

  startSeconds.set(Math.floor(Date.now() / 1000 - process.uptime()));
  registerPauses(metrics);
  let countedCpuSeconds = 0;
  metrics.beforeExposition(() => {
    const memory = process.memoryUsage();
    residentBytes.set(memory.rss);
    heapUsed.set(memory.heapUsed);
    heapTotal.set(memory.heapTotal);
    external.set(memory.external);
    const cpu = process.cpuUsage();
    const spentSeconds = (cpu.user + cpu.system) / 1e6;
    cpuSeconds.add(spentSeconds - countedCpuSeconds);
    countedCpuSeconds = spentSeconds;
    const descriptors = countDescriptors();
    openFds.set(descriptors.open);
    fdUsed.set(descriptors.open);
    maxFds.set(descriptors.limit);
    fdLimit.set(descriptors.limit);
    virtualBytes.set(virtualMemoryBytes());
  });
}

/** Pauses of the collector: what else stops the loop but long work. */
function registerPauses(metrics: MetricRegistry): void {
  const buckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
  const help = 'Garbage collection pauses by kind.';
  const kinds = new Map([
    [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
    [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
    [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
    [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
  ]);
  const histograms = new Map(
    [...kinds].map(([kind, name]) => [
      kind,
      metrics.histogram('nodejs_gc_duration_seconds', help, buckets, {kind: name}),
    ]),
  );
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const {detail} = entry as {readonly detail?: {readonly kind?: number}};
      histograms.get(detail?.kind ?? -1)?.observe(entry.duration / 1000);
    }
  });
  observer.observe({entryTypes: ['gc']});
}

/** Zeros where the system has no /proc. */
function countDescriptors(): {open: number; limit: number} {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1');
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
    // The folder's own descriptor is in its list.
    return {open: readdirSync('/proc/self/fd').length - 1, limit};
  } catch {
    return {open: 0, limit: 0};
  }
}

function virtualMemoryBytes(): number {
  const bytes = Buffer.alloc(64);
  try {
    const fd = openSync('/proc/self/statm', 'r');
    try {
      readSync(fd, bytes);
    } finally {
      closeSync(fd);
    }
    return Number.parseInt(bytes.toString('latin1'), 10) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

/** The page size of every platform kvd runs on today; /proc/self/statm counts in it. */
const PAGE_BYTES = 4096;
