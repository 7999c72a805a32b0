/**
 * Reading a whole image for a snapshot in a process of its own (lmdb-export-child.ts), seen from the member. What
 * passes through here is bounded by what a pipe and a stream hold; the file is kept until its reader has ended.
 * Whatever ends an export (the last byte, the client, a failure, close) ends the process, and then its place among
 * LMDB's readers is cleared: a dead reader would keep pages from being used again.
 */

import {type ChildProcess, fork} from 'node:child_process';
import {PassThrough, Readable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import {EngineError} from '../errors.ts';
import {BACKEND_EXPORTS_MAX} from '../limits.ts';
import type {SnapshotStream} from '../ports.ts';
import type {LmdbImage} from './lmdb-backend-image.ts';
import type {ChildTask, ExportKind, ExportMessage} from './lmdb-export-child.ts';

export class LmdbExports {
  /** The image to be read, asked for when an export begins. */
  readonly #image: () => LmdbImage;
  readonly #running = new Set<ExportProcess>();
  /** Exports that wait for a place, in order. */
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(image: () => LmdbImage) {
    this.#image = image;
  }

  async snapshot(signal: AbortSignal): Promise<SnapshotStream> {
    const process = await this.#start('snapshot', signal);
    try {
      const {totalBytes} = await process.message('planned');
      return {totalBytes, chunks: this.#chunks(process, totalBytes)};
    } catch (error) {
      await this.#end(process);
      throw error;
    }
  }

  async hash(signal: AbortSignal): Promise<number> {
    const process = await this.#start('hash', signal);
    try {
      const {hash} = await process.message('hash');
      return hash;
    } finally {
      await this.#end(process);
    }
  }

  /** Ends what runs and waits; resolves when no process is left. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const begin of this.#waiting.splice(0)) begin();
    await Promise.all([...this.#running].map((process) => process.end(stopped())));
  }

  async #start(kind: ExportKind, signal: AbortSignal): Promise<ExportProcess> {
    while (this.#running.size >= BACKEND_EXPORTS_MAX && !this.#isClosed && !signal.aborted) {
      await this.#place(signal);
    }
    if (this.#isClosed) throw stopped();
    if (signal.aborted) throw canceled();
    const process = new ExportProcess(this.#image(), kind, signal);
    this.#running.add(process);
    return process;
  }

  #place(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const begin = () => {
        signal.removeEventListener('abort', begin);
        this.#waiting = this.#waiting.filter((other) => other !== begin);
        resolve();
      };
      signal.addEventListener('abort', begin);
      this.#waiting.push(begin);
    });
  }

  async *#chunks(process: ExportProcess, totalBytes: number): AsyncGenerator<Uint8Array, void> {
    try {
      let left = totalBytes;
      for await (const chunk of process.output) {
        left -= (chunk as Uint8Array).length;
        yield chunk as Uint8Array;
      }
      if (left !== 0) throw await process.failure();
    } catch (error) {
      // Ended while it was read, the stream says so in words of its own.
      await process.end(exportFailed(String(error), error));
      throw await process.failure();
    } finally {
      await this.#end(process);
    }
  }

  async #end(process: ExportProcess): Promise<void> {
    await process.end(canceled());
    this.#running.delete(process);
    this.#waiting.at(0)?.();
  }
}

type MessageOf<Type extends ExportMessage['type']> = Extract<ExportMessage, {type: Type}>;

/** One process, from its start until nothing of it is left. */
class ExportProcess {
  readonly #image: LmdbImage;
  readonly #child: ChildProcess;
  readonly #output: Readable;
  /** Settled when the process has ended and all its messages have come. */
  readonly #ended: Promise<void>;
  readonly #signal: AbortSignal;
  readonly #abort = () => void this.end(canceled());
  #messages: ExportMessage[] = [];
  #onMessage: () => void = () => {};
  #failure: EngineError | undefined;
  #isLeft = false;

  constructor(image: LmdbImage, kind: ExportKind, signal: AbortSignal) {
    this.#image = image;
    this.#signal = signal;
    image.hold();
    this.#child = startChild(image.path, kind);
    // Read from the start: what is left in the pipe of a process that has ended, Node throws away.
    this.#output = this.#child.stdout?.pipe(new PassThrough()) ?? Readable.from([]);
    this.#child.stdout?.on('error', (error) => this.#output.destroy(error));
    // Whoever reads it is told; nobody may have begun yet.
    this.#output.on('error', () => undefined);
    this.#child.on('message', (message: ExportMessage) => {
      if (message.type === 'failed') this.#failure ??= new EngineError(message.failure);
      else this.#messages.push(message);
      this.#onMessage();
    });
    this.#ended = this.#whenEnded();
    signal.addEventListener('abort', this.#abort);
  }

  /** The bytes; they end early when the process does. */
  get output(): Readable {
    return this.#output;
  }

  /** @throws EngineError why it never came */
  async message<Type extends ExportMessage['type']>(type: Type): Promise<MessageOf<Type>> {
    const came = new Promise<void>((resolve) => {
      this.#onMessage = resolve;
      if (this.#messages.length > 0) resolve();
    });
    await Promise.race([came, this.#ended]);
    const message = this.#messages.shift();
    if (message?.type !== type) throw await this.failure();
    return message as MessageOf<Type>;
  }

  async failure(): Promise<EngineError> {
    await this.#ended;
    const {exitCode, signalCode} = this.#child;
    const how = signalCode === null ? `with code ${exitCode}` : `by signal ${signalCode}`;
    this.#failure ??= exportFailed(`the process that reads ${this.#image.path} ended ${how}`, undefined);
    return this.#failure;
  }

  /** Resolves when it is gone. @param reason why, unless it has failed before */
  async end(reason: EngineError): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#failure ??= reason;
      this.#child.kill('SIGKILL');
    }
    await this.#ended;
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#signal.removeEventListener('abort', this.#abort);
    // A process that could not be started has no pipes.
    this.#child.stdout?.destroy();
    this.#output.destroy();
    this.#image.clearDeadReaders();
    await this.#image.letGo();
  }

  #whenEnded(): Promise<void> {
    const child = this.#child;
    return new Promise((resolve) => {
      let left = 2;
      const ended = () => {
        left--;
        if (left === 0) resolve();
      };
      child.once('exit', ended);
      // Messages may still come behind the exit, but not behind this.
      child.once('disconnect', ended);
      child.on('error', (error) => {
        this.#failure ??= exportFailed(`the process that reads ${this.#image.path}: ${error.message}`, error);
        // It never started.
        if (child.pid === undefined) resolve();
      });
    });
  }
}

/** The child's file lies beside this one: `.js` when built, `.ts` when tests run from the sources. */
export function startChild(path: string, kind: ChildTask): ChildProcess {
  const isSource = import.meta.url.endsWith('.ts');
  const file = new URL(`./lmdb-export-child.${isSource ? 'ts' : 'js'}`, import.meta.url);
  return fork(fileURLToPath(file), [path, kind], {
    execArgv: isSource ? ['--import', import.meta.resolve('tsx')] : [],
    serialization: 'json',
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
}

const stopped = () => new EngineError({code: 'stopped'});
const canceled = () => new EngineError({code: 'canceled'});
const exportFailed = (detail: string, cause: unknown) =>
  new EngineError({code: 'exportFailed', detail}, cause);
