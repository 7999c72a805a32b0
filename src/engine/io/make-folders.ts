/** A folder with its parents. */

import {mkdir} from 'node:fs/promises';
import {dirname} from 'node:path';

/**
 * As `fs.mkdir` with `recursive`, which for a path below /proc tries for ever (Node 20).
 * @param path absolute
 * @returns the topmost folder that was made; undefined: it was there
 * @throws the system's error
 */
export async function makeFolders(path: string, mode: number): Promise<string | undefined> {
  try {
    await mkdir(path, {mode});
    return path;
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path) throw error;
    const made = await makeFolders(parent, mode);
    // The parent is there: what is wrong now is wrong for good.
    await mkdir(path, {mode});
    return made ?? path;
  }
}
