/** A terminal for tests: input is given, output is kept. */

import type {Terminal} from '../../../src/commands/_shared/terminal.ts';
import {splitLines} from '../../../src/commands/_shared/terminal.ts';

export class MemoryTerminal implements Terminal {
  readonly #output: Buffer[] = [];
  readonly #input: Buffer;
  errors = '';
  columns: number | undefined;
  errorColumns: number | undefined;
  hasColor = false;

  constructor(input: string | Buffer = '') {
    this.#input = Buffer.from(input as string);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#output);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }

  write(bytes: Uint8Array | string): void {
    this.#output.push(Buffer.from(bytes as string));
  }

  warn(line: string): void {
    this.errors += `${line}\n`;
  }

  writeError(text: string): void {
    this.errors += text;
  }

  async readAll(): Promise<Buffer> {
    return this.#input;
  }

  lines() {
    const input = this.#input;
    return splitLines(
      (async function* () {
        // In two pieces, so that a line may lie across them.
        yield input.subarray(0, 7);
        yield input.subarray(7);
      })(),
    );
  }

  async flush(): Promise<void> {}
}
