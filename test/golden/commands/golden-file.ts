/** Golden files: what was printed is compared with what lies in a file; KVD_GOLDEN_REWRITE=1 takes it for right. */

import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {expect} from 'vitest';

export function expectGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, 'files', name);
  if (process.env.KVD_GOLDEN_REWRITE === '1') {
    mkdirSync(dirname(path), {recursive: true});
    writeFileSync(path, text);
    return;
  }
  expect(text).toBe(
    existsSync(path) ? readFileSync(path, 'utf8') : '(no golden file: npm run golden:rewrite)',
  );
}
