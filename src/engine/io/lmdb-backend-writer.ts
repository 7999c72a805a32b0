/** The loop's end of the writing thread: one message, one answer, in order. */

import {Worker} from 'node:worker_threads';
import {EngineError} from '../errors.ts';
import {BACKEND_PACK_BYTES, BACKEND_PACKS_KEPT} from '../limits.ts';
import type {AppliedMark} from '../types.ts';
import {makeStoreError} from './lmdb-backend-files.ts';
import {packChange, packedBytes} from './lmdb-backend-format.ts';
import type {SizeReport, WriterRequest, WriterResponse} from './lmdb-backend-worker.ts';

interface Waiting {
  readonly operation: string;
  readonly resolve: (response: WriterResponse) => void;
  readonly reject: (error: unknown) => void;
}

export class LmdbWriter {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #waiting: Waiting[] = [];
  /** Packs between two uses. */
  readonly #packs: Uint8Array[] = [];
  #failure: EngineError | undefined;

  /** @param path the backend's folder, for errors */
  constructor(path: string) {
    this.#path = path;
    this.#worker = startWorker();
    this.#worker.on('message', (response: WriterResponse) => this.#receive(response));
    this.#worker.on('error', (error) => this.#fail(String(error), error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#fail(`the writing thread ended with ${code}`, undefined);
        resolve();
      });
    });
  }

  async create(path: string): Promise<void> {
    await this.#call({type: 'create', path});
  }

  open(path: string): Promise<SizeReport> {
    return this.#call({type: 'open', path});
  }

  commit(packs: readonly Uint8Array[], applied: AppliedMark): Promise<SizeReport> {
    return this.#call({type: 'commit', packs, applied});
  }

  async compact(path: string): Promise<void> {
    await this.#call({type: 'compact', path});
  }

  async close(): Promise<void> {
    if (this.#failure === undefined) await this.#call({type: 'close'});
    await this.#exited;
  }

  /** Memory for packed changes, at least `bytes` long. */
  takePack(bytes: number): Uint8Array {
    if (bytes > BACKEND_PACK_BYTES) return new Uint8Array(bytes);
    return this.#packs.pop() ?? new Uint8Array(BACKEND_PACK_BYTES);
  }

  async #call(request: WriterRequest): Promise<SizeReport> {
    if (this.#failure !== undefined) throw this.#failure;
    const response = await new Promise<WriterResponse>((resolve, reject) => {
      this.#waiting.push({operation: request.type, resolve, reject});
      const packs = request.type === 'commit' ? request.packs : [];
      this.#worker.postMessage(
        request,
        packs.map((pack) => pack.buffer as ArrayBuffer),
      );
    });
    if (response.ok) return response.size;
    throw makeStoreError({
      path: this.#path,
      operation: request.type,
      kind: response.kind,
      detail: response.detail,
    });
  }

  #receive(response: WriterResponse): void {
    for (const {buffer} of response.packs) {
      if (this.#packs.length < BACKEND_PACKS_KEPT && buffer.byteLength === BACKEND_PACK_BYTES) {
        this.#packs.push(new Uint8Array(buffer));
      }
    }
    this.#waiting.shift()?.resolve(response);
  }

  #fail(detail: string, cause: unknown): void {
    for (const {operation, reject} of this.#waiting.splice(0)) {
      reject(new EngineError({code: 'diskError', path: this.#path, operation, detail}, cause));
    }
    this.#failure ??= new EngineError(
      {code: 'diskError', path: this.#path, operation: 'write', detail},
      cause,
    );
  }
}

/** The worker's file lies beside this one: `.js` when built, `.ts` when tests run from the sources. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL('./lmdb-backend-worker.js', import.meta.url), {execArgv: []});
  }
  // Node's worker threads do not take over a TypeScript loader from their parent.
  const loader = import.meta.resolve('tsx/esm/api');
  const url = new URL('./lmdb-backend-worker.ts', import.meta.url).href;
  const code = `import('${loader}').then(({register}) => { register(); return import('${url}'); })`;
  return new Worker(code, {eval: true, execArgv: []});
}

/** Fills packs with changes; the loop may run between two of them. */
export class Packer {
  readonly #writer: LmdbWriter;
  readonly #full: Uint8Array[] = [];
  #pack: Uint8Array | undefined;
  #used = 0;

  constructor(writer: LmdbWriter) {
    this.#writer = writer;
  }

  /** @returns whether a pack has become full: a moment to let the loop run */
  add(tableNumber: number, key: Uint8Array, value: Uint8Array | undefined): boolean {
    const bytes = packedBytes(key.length, value?.length);
    let becameFull = false;
    if (this.#pack !== undefined && this.#used + bytes > this.#pack.length) {
      this.#finishPack();
      becameFull = true;
    }
    this.#pack ??= this.#writer.takePack(bytes);
    this.#used = packChange(this.#pack, this.#used, {tableNumber, key, value});
    return becameFull;
  }

  finish(): readonly Uint8Array[] {
    this.#finishPack();
    return this.#full;
  }

  #finishPack(): void {
    if (this.#pack === undefined) return;
    this.#full.push(this.#pack.subarray(0, this.#used));
    this.#pack = undefined;
    this.#used = 0;
  }
}
