/** The shortest log that explains a violation: what went wrong with machines, and what touches what the violation names. */

import type {Violation} from './simulated-cluster.ts';

/** Lines before the violation that stay whatever they say. */
const LAST_LINES = 8;
const ALWAYS =
  / (fault \w+|VIOLATION|all faults end|m\d+ (starts|is killed|loses power|ends|stops|has stopped|dies)|admin )/;
const STATES = /m\d+ (warn|error) |became|leader|snapshot|campaign|election/;

/** @param lines all lines of the run, in order */
export function explain(lines: readonly string[], {detail}: Violation): string[] {
  const names = namedIn(detail);
  const told = lines.filter((line, place) => {
    if (place >= lines.length - LAST_LINES || ALWAYS.test(line) || STATES.test(line)) return true;
    return names.some((name) => line.includes(name));
  });
  return withoutRepeats(told);
}

/** Of lines that differ by their time alone, the first and the last of a row. */
function withoutRepeats(lines: readonly string[]): string[] {
  const texts = lines.map((line) => line.slice(line.indexOf(' ')));
  return lines.filter((_, place) => texts[place] !== texts[place - 1] || texts[place] !== texts[place + 1]);
}

/** Labels of questions, watchers, keys: what else the log may say about them belongs to it. */
function namedIn(detail: string): string[] {
  const found = detail.match(/\b(c\d+\.\d+|w\d+|k\d{3}|lease \d+)\b/g) ?? [];
  return [...new Set(found)].map((name) => (name.startsWith('lease') ? name : `${name} `));
}
