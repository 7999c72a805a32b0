import {mkdirSync, mkdtempSync, readdirSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {downloadSnapshot} from '../../../src/commands/_shared/snapshot-download.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvd-download-'));
});

afterEach(() => rmSync(folder, {recursive: true, force: true}));

async function* nothing() {}

describe('snapshot download', () => {
  it('Ensure that what is not a file is not replaced by one.', async () => {
    const target = join(folder, 'folder');
    mkdirSync(target);
    await expect(downloadSnapshot(nothing(), target, () => {})).rejects.toThrow(/not a regular file/);
    await expect(downloadSnapshot(nothing(), '/dev/null', () => {})).rejects.toThrow(/not a regular file/);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(readdirSync(folder)).toEqual(['folder']);
  });

  it('Ensure that a stream that breaks off leaves no file behind.', async () => {
    await expect(downloadSnapshot(nothing(), join(folder, 'a.db'), () => {})).rejects.toThrow(/sha256/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
