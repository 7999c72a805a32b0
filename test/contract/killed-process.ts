/** Runs backend-kill-child.ts over a store and kills it. */

import {spawn} from 'node:child_process';

/**
 * @param options.program the compiled child
 * @param options.folder of the store
 * @param options.afterLines of its output, from when on `afterMs` are counted: 1, it is about to open the store; 2, it
 * has opened it; and one more for each commit
 * @returns the numbers that it wrote: the one that it found, then those that it committed
 */
export function runAndKill(options: {
  readonly program: string;
  readonly folder: string;
  readonly isMarked: boolean;
  readonly afterLines: number;
  readonly afterMs: number;
}): Promise<number[]> {
  const {program, folder, isMarked, afterLines, afterMs} = options;
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [program, folder, isMarked ? 'marked' : 'unmarked'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, errors, isDue] = ['', '', false];
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (isDue || output.split('\n').length <= afterLines) return;
      isDue = true;
      setTimeout(() => child.kill('SIGKILL'), afterMs);
    });
    child.stderr.on('data', (text: Buffer) => {
      errors += text.toString();
    });
    child.on('close', (_code, signal) => {
      if (signal !== 'SIGKILL') fail(new Error(`the process ended by itself: ${errors}`));
      else done(output.split('\n').slice(1, -1).map(Number));
    });
  });
}
