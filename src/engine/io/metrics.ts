/**
 * Counters, gauges and histograms, and their text for Prometheus.
 *
 * Not prom-client: it looks a metric's labels up in a map at each observation, on the path of every request. Here
 * a metric with its labels is one object that the hot path keeps, and counting is an addition.
 */

import {assert} from '../errors.ts';
import type {MetricLabels, Metrics} from '../ports.ts';

type MetricType = 'counter' | 'gauge' | 'histogram';

interface Sample {
  /** Appends the sample's lines. `labels` is ready-made: `a="x",b="y"` or empty. */
  render(lines: string[], name: string, labels: string): void;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** By their rendered labels, in the order of making. */
  readonly samples: Map<string, Sample>;
}

class Counter implements Sample {
  #value = 0;

  /** `amount` must not be negative. */
  add(amount: number): void {
    this.#value += amount;
  }

  render(lines: string[], name: string, labels: string): void {
    lines.push(`${name}${braces(labels)} ${formatNumber(this.#value)}`);
  }
}

class Gauge implements Sample {
  #value = 0;

  set(value: number): void {
    this.#value = value;
  }

  render(lines: string[], name: string, labels: string): void {
    lines.push(`${name}${braces(labels)} ${formatNumber(this.#value)}`);
  }
}

class Histogram implements Sample {
  readonly #bounds: Float64Array;
  /** Observations per bucket, not yet summed up; the last one is beyond all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    for (let i = 1; i < bounds.length; i++) assert(bounds[i] > bounds[i - 1], 'buckets must ascend');
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket += 1;
    this.#counts[bucket] += 1;
    this.#sum += value;
  }

  render(lines: string[], name: string, labels: string): void {
    const prefix = labels === '' ? '' : `${labels},`;
    let count = 0;
    for (let i = 0; i < this.#bounds.length; i++) {
      count += this.#counts[i];
      lines.push(`${name}_bucket{${prefix}le="${formatNumber(this.#bounds[i])}"} ${count}`);
    }
    count += this.#counts[this.#bounds.length];
    lines.push(`${name}_bucket{${prefix}le="+Inf"} ${count}`);
    lines.push(`${name}_sum${braces(labels)} ${formatNumber(this.#sum)}`);
    lines.push(`${name}_count${braces(labels)} ${count}`);
  }
}

export class MetricRegistry implements Metrics {
  readonly #families = new Map<string, Family>();
  readonly #collectors: (() => void)[] = [];

  counter(name: string, help: string, labels?: MetricLabels): {add(amount: number): void} {
    return this.#sample(name, help, 'counter', labels, () => new Counter());
  }

  gauge(name: string, help: string, labels?: MetricLabels): {set(value: number): void} {
    return this.#sample(name, help, 'gauge', labels, () => new Gauge());
  }

  histogram(
    name: string,
    help: string,
    bucketsSeconds: readonly number[],
    labels?: MetricLabels,
  ): {observe(seconds: number): void} {
    return this.#sample(name, help, 'histogram', labels, () => new Histogram(bucketsSeconds));
  }

  /** `collect` runs before each exposition: for values that are cheaper asked for than kept. */
  beforeExposition(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** The text format 0.0.4, metrics sorted by name. */
  exposition(): string {
    for (const collect of this.#collectors) collect();
    const lines: string[] = [];
    for (const name of [...this.#families.keys()].sort()) {
      const family = this.#families.get(name)!;
      lines.push(`# HELP ${name} ${escapeHelp(family.help)}`, `# TYPE ${name} ${family.type}`);
      for (const [labels, sample] of family.samples) sample.render(lines, name, labels);
    }
    lines.push('');
    return lines.join('\n');
  }

  #sample<S extends Sample>(
    name: string,
    help: string,
    type: MetricType,
    labels: MetricLabels | undefined,
    make: () => S,
  ): S {
    assert(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name), `metric name is invalid: ${name}`);
    let family = this.#families.get(name);
    if (family === undefined) {
      family = {name, help, type, samples: new Map()};
      this.#families.set(name, family);
    }
    assert(family.type === type, `metric ${name} is a ${family.type}, not a ${type}`);
    const key = renderLabels(labels);
    const known = family.samples.get(key);
    if (known !== undefined) return known as S;
    const made = make();
    family.samples.set(key, made);
    return made;
  }
}

/** Sorted by name, as Prometheus' own libraries write them (tests of etcd compare whole lines). */
function renderLabels(labels: MetricLabels | undefined): string {
  if (labels === undefined) return '';
  const names = Object.keys(labels).sort();
  return names.map((name) => `${name}="${escapeLabel(labels[name])}"`).join(',');
}

function braces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** As Go's Prometheus library prints a float: with an exponent of at least two digits below 1e-04 and from 1e+06. */
function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const magnitude = Math.abs(value);
  if (magnitude === 0 || (magnitude >= 1e-4 && magnitude < 1e6)) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}
