/**
 * Programs of the tests as plain JavaScript, for processes that are started again and again: without a loader they
 * begin, with their threads, in a fraction of the time.
 */

import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';

const projectRoot = resolve(import.meta.dirname, '..');
/** Where the programs find the project's packages. */
const root = join(projectRoot, `node_modules/.cache/kvd-tests-${process.pid}`);
/** What programs load by its name at run time. */
const LOADED_LATER = ['src/engine/io/lmdb-backend-worker.ts', 'src/engine/io/lmdb-export-child.ts'];

let made = 0;

/**
 * Compiles the program with all that it imports.
 * @param program below the project's root
 * @returns the path of the compiled one
 */
export function compiled(program: string): string {
  const folder = join(root, String(++made));
  mkdirSync(folder, {recursive: true});
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const config = {
    extends: join(projectRoot, 'tsconfig.check.json'),
    compilerOptions: {noEmit: false, noCheck: true, rootDir: projectRoot, outDir: folder},
    include: [],
    files: [program, ...LOADED_LATER].map((file) => join(projectRoot, file)),
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const compiler = join(projectRoot, 'node_modules/.bin/tsc');
  const {stdout} = spawnSync(compiler, ['-p', folder], {stdio: ['ignore', 'pipe', 'inherit']});
  const path = join(folder, program.replace(/\.ts$/, '.js'));
  if (!existsSync(path)) throw new Error(`${program} was not compiled: ${stdout}`);
  return path;
}

/** Whoever compiled something calls it in the end. */
export function removeCompiled(): void {
  rmSync(root, {recursive: true, force: true});
}
