import {spawnSync} from 'node:child_process';
import {resolve} from 'node:path';
import {describe, expect, it} from 'vitest';

describe('docs', () => {
  it('Ensure that docs/CONFIG.md and docs/LIMITS.md say what the code says.', () => {
    const script = resolve(import.meta.dirname, '../../../scripts/generate-docs.js');
    const {status, stderr} = spawnSync(process.execPath, [script, '--check'], {encoding: 'utf8'});
    expect({status, stderr}).toEqual({status: 0, stderr: ''});
  });
});
