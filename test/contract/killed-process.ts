/** Runs backend-kill-child.ts over a store and kills it. */

import {spawn} from 'node:child_process';

/**
 * @param options.program the compiled child
 * @param options.folder of the store
 * @param options.after what of the process is waited for before `afterMs` are counted: that it is about to open the
 * store, or that it has
 * @returns the numbers that it wrote: the one that it found, then those that it committed
 */
export function runAndKill(options: {
  readonly program: string;
  readonly folder: string;
  readonly isMarked: boolean;
  readonly after: 'opens' | 'opened';
  readonly afterMs: number;
}): Promise<number[]> {
  const {program, folder, isMarked, after, afterMs} = options;
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [program, folder, isMarked ? 'marked' : 'unmarked'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, errors, isDue] = ['', '', false];
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (isDue || (after === 'opened' && output === 'opens\n')) return;
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
