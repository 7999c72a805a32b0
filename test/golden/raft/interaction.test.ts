/**
 * Golden files: each opens with its situation, then come commands (`> …`) and, indented, all that follows from
 * them, log lines included. KVD_GOLDEN_REWRITE=1 writes the files anew; the difference is to be read like code.
 */

import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, it} from 'vitest';
import {Interaction} from './interaction.ts';

const folder = import.meta.dirname;
const isRewriting = process.env.KVD_GOLDEN_REWRITE === '1';
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));

/** The file's text as it is when every command is run. */
function replay(text: string): string {
  const interaction = new Interaction();
  const lines = text.split('\n').filter((line) => !line.startsWith('  '));
  return lines
    .flatMap((line) => {
      if (!line.startsWith('> ')) return [line];
      try {
        return [line, ...interaction.run(line.slice(2)).map((result) => `  ${result}`)];
      } catch (cause) {
        throw new Error(`at "${line}": ${(cause as Error).message}`, {cause});
      }
    })
    .join('\n');
}

describe('raft interactions', () => {
  it.each(files)('Ensure that %s plays out as it is written.', (name) => {
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    expect(text, 'the first lines describe the situation').toMatch(/^# \S/);
    const played = replay(text);
    if (isRewriting && played !== text) writeFileSync(path, played);
    if (!isRewriting) expect(text).toBe(played);
  });

  it('Ensure that there are golden files at all.', () => {
    expect(files.length).toBeGreaterThanOrEqual(25);
  });
});
