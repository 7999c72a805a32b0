/** Asks a reading process about one store after the other, and starts another when one dies over it. */

import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {compiled} from '../../compiled.ts';

export interface Died {
  readonly kind: 'died';
  /** The signal, or the exit code. */
  readonly how: string;
}

export class ChildReader<Reading> {
  readonly #program: string;
  #child: ChildProcess | undefined;
  #answer: ((reading: Reading | Died) => void) | undefined;
  /** Processes that ended by a signal. */
  deaths = 0;

  /** @param program below the project's root */
  constructor(program: string) {
    this.#program = compiled(program);
  }

  /** @returns what the process says, or the signal or code that it ended with */
  ask(question: string): Promise<Reading | Died> {
    const child = this.#start();
    return new Promise((resolve) => {
      this.#answer = resolve;
      child.stdin?.write(`${question}\n`);
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    child.stdin?.end();
    await once(child, 'exit');
  }

  #start(): ChildProcess {
    if (this.#child !== undefined) return this.#child;
    const child = spawn(process.execPath, [this.#program], {
      stdio: ['pipe', 'pipe', process.env.KVD_CRASH_STDERR === undefined ? 'ignore' : 'inherit'],
    });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    createInterface({input: child.stdout}).on('line', (line) => this.#tell(JSON.parse(line) as Reading));
    child.once('close', (code, signal) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.deaths++;
      this.#tell({kind: 'died', how: signal ?? `code ${code}`});
    });
    return child;
  }

  #tell(reading: Reading | Died): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(reading);
  }
}
