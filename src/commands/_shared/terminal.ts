/** Where a command's output goes and its input comes from: the process's streams, or buffers in tests. */

import {isatty} from 'node:tty';

export interface Terminal {
  /** Standard output: bytes as they are. */
  write(bytes: Uint8Array | string): void;
  /** One line to the standard error stream. */
  warn(line: string): void;
  /** Text to the standard error stream, as it is: progress and prompts. */
  writeError(text: string): void;
  /** All of standard input. */
  readAll(): Promise<Buffer>;
  /** Lines of standard input without their line feed, as binary strings. The last may lack its line feed. */
  lines(): AsyncIterable<{readonly line: string; readonly isComplete: boolean}>;
  /** Columns of standard output when it is a terminal. */
  readonly columns: number | undefined;
  /** The same for the standard error stream. */
  readonly errorColumns: number | undefined;
  readonly hasColor: boolean;
  /** Resolves when everything written has left the process. */
  flush(): Promise<void>;
}

const FALLBACK_COLUMNS = 80;

export function processTerminal(environment: Readonly<Record<string, string | undefined>>): Terminal {
  // Made on first use: each stream costs start-up time.
  const columnsOf = (fd: 1 | 2): number | undefined => {
    if (!isatty(fd)) return undefined;
    return (fd === 1 ? process.stdout.columns : process.stderr.columns) || FALLBACK_COLUMNS;
  };
  let isWatched = false;
  const out = (): NodeJS.WriteStream => {
    if (!isWatched) {
      isWatched = true;
      // The reader of a pipe has left (`kvd get … | head`): there is nobody to tell.
      process.stdout.on('error', (error: NodeJS.ErrnoException) =>
        process.exit(error.code === 'EPIPE' ? 141 : 6),
      );
    }
    return process.stdout;
  };
  return {
    write: (bytes) => void out().write(bytes),
    warn: (line) => void process.stderr.write(`${line}\n`),
    writeError: (text) => void process.stderr.write(text),
    readAll: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    lines: () => splitLines(process.stdin as AsyncIterable<Buffer>),
    get columns() {
      return columnsOf(1);
    },
    get errorColumns() {
      return columnsOf(2);
    },
    get hasColor() {
      const {NO_COLOR: noColor, TERM: term} = environment;
      return isatty(1) && !noColor && term !== 'dumb';
    },
    flush: () =>
      isWatched ? new Promise<void>((resolve) => out().write('', () => resolve())) : Promise.resolve(),
  };
}

/** Splits a stream of bytes at line feeds. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
): AsyncIterable<{readonly line: string; readonly isComplete: boolean}> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) yield {line, isComplete: true};
  }
  if (rest !== '') yield {line: rest, isComplete: false};
}
