/** A process's file system calls, as strace records them with all their bytes, made into the record of a disk. */

import {createReadStream} from 'node:fs';
import {relative} from 'node:path';
import {createInterface} from 'node:readline';
import type {DiskEvent, FileId} from '../disk-event.ts';
import {Recorder} from '../recording-disk.ts';

const CALLS =
  'clone,clone3,openat,close,lseek,pwrite64,pwritev,write,writev,fsync,fdatasync,msync,ftruncate,rename,unlink,unlinkat,mkdir,rmdir';

export const straceArguments = (output: string): string[] => [
  '-f',
  '--seccomp-bpf',
  '-qq',
  '-xx',
  '-s',
  '16777216',
  '-e',
  `trace=${CALLS}`,
  '-e',
  'signal=none',
  '-o',
  output,
];

interface OpenFile {
  readonly path: string;
  /** None: a folder. */
  readonly file: FileId | undefined;
  /** Where the next write without a position goes. */
  position: number;
  /** Each write is durable when it returns. */
  readonly isSynchronous: boolean;
}

/** @param root of the disk; what happens elsewhere is left out. Lines on the standard output become promises. */
export async function readTrace(output: string, root: string): Promise<readonly DiskEvent[]> {
  const threads = await threadsOf(output);
  const translation = new Translation(root);
  const unfinished = new Map<string, {text: string; done: (() => void) | undefined}>();
  for await (const line of createInterface({input: createReadStream(output)})) {
    const [, thread, rest] = /^(\d+)\s+(.*)$/s.exec(line) ?? [];
    if (thread === undefined || rest === undefined || !threads.has(thread)) continue;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(rest);
    if (resumed !== null) {
      const begun = unfinished.get(thread);
      unfinished.delete(thread);
      if (begun === undefined) throw new Error(`a call of thread ${thread} ends that has not begun`);
      translation.finish(`${begun.text}${resumed[1]}`, begun.done);
    } else if (rest.endsWith('<unfinished ...>')) {
      const text = rest.slice(0, -'<unfinished ...>'.length);
      unfinished.set(thread, {text, done: translation.begin(text)});
    } else {
      translation.finish(rest, translation.begin(rest));
    }
  }
  return translation.recorder.events;
}

/** The threads of the first process: those that it starts have descriptors of their own. */
async function threadsOf(output: string): Promise<ReadonlySet<string>> {
  const madeBy = new Map<string, string>();
  const isMakingThread = new Map<string, boolean>();
  let first: string | undefined;
  for await (const line of createInterface({input: createReadStream(output)})) {
    const [, thread = ''] = /^(\d+) /.exec(line) ?? [];
    first ??= thread;
    if (/^\d+\s+clone3?\(/.test(line)) isMakingThread.set(thread, line.includes('CLONE_THREAD'));
    else if (!/^\d+\s+<\.\.\. clone3? resumed>/.test(line)) continue;
    const made = / = (\d+)$/.exec(line)?.[1];
    if (made !== undefined && isMakingThread.get(thread)) madeBy.set(made, thread);
  }
  const isOfFirst = (thread: string | undefined): boolean =>
    thread !== undefined && (thread === first || isOfFirst(madeBy.get(thread)));
  return new Set([first ?? '', ...[...madeBy.keys()].filter(isOfFirst)]);
}

class Translation {
  readonly recorder = new Recorder();
  readonly #root: string;
  readonly #open = new Map<number, OpenFile>();
  #output = '';

  constructor(root: string) {
    this.#root = root;
  }

  /** What a call does from its beginning on. @returns what to do when it has ended well */
  begin(text: string): (() => void) | undefined {
    const [, name, args = ''] = /^(\w+)\((.*)$/s.exec(text) ?? [];
    const {recorder} = this;
    switch (name) {
      case 'pwrite64':
      case 'pwritev':
      case 'write':
      case 'writev':
        return this.#write(name, args);
      case 'fsync':
      case 'fdatasync': {
        const open = this.#open.get(Number.parseInt(args, 10));
        if (open === undefined) return undefined;
        return recorder.syncs(open.file === undefined ? {folder: open.path} : {file: open.file});
      }
      case 'msync':
        throw new Error('a memory map is written to: the record would not show it');
      case 'ftruncate': {
        const [fd, length] = args.split(/[,)]/).map((word) => Number.parseInt(word, 10));
        const file = this.#open.get(fd)?.file;
        if (file !== undefined) recorder.events.push({kind: 'resize', file, length});
        return undefined;
      }
      case 'rename': {
        const [from, to] = this.#paths(args);
        if (from !== undefined && to !== undefined) recorder.rename(from, to);
        return undefined;
      }
      case 'unlink':
      case 'unlinkat':
      case 'rmdir': {
        const [path] = this.#paths(args);
        return path === undefined ? undefined : () => recorder.remove(path);
      }
      case 'mkdir': {
        const [path] = this.#paths(args);
        return path === undefined || path === '' ? undefined : () => recorder.makeFolder(path);
      }
      default:
        return undefined;
    }
  }

  /** The whole text of a call, with its result. */
  finish(text: string, done: (() => void) | undefined): void {
    const result = Number(/\)\s+= (-?\d+)/.exec(text)?.[1] ?? -1);
    if (result < 0) return;
    done?.();
    if (text.startsWith('openat(')) this.#opened(text, result);
    const fd = Number.parseInt(text.slice(text.indexOf('(') + 1), 10);
    const open = this.#open.get(fd);
    if (text.startsWith('lseek(') && open !== undefined) open.position = result;
    if (text.startsWith('close(')) this.#open.delete(fd);
  }

  #opened(text: string, fd: number): void {
    this.#open.delete(fd);
    const [path] = this.#paths(text);
    if (path === undefined) return;
    const flags = /", ([A-Z_|0-9a-fx]+)/.exec(text)?.[1]?.split('|') ?? [];
    const {recorder} = this;
    const isFolder = path === '' || flags.includes('O_DIRECTORY') || !isFile(path);
    const isNew = !isFolder && flags.includes('O_CREAT') && !recorder.has(path);
    const file = isFolder ? undefined : isNew ? recorder.create(path) : recorder.fileAt(path);
    if (file !== undefined && !isNew && flags.includes('O_TRUNC')) {
      recorder.events.push({kind: 'resize', file, length: 0});
    }
    const isSynchronous = flags.includes('O_DSYNC') || flags.includes('O_SYNC');
    this.#open.set(fd, {path: path === '' ? '.' : path, file, position: 0, isSynchronous});
  }

  #write(name: string, args: string): (() => void) | undefined {
    const fd = Number.parseInt(args, 10);
    const bytes = Buffer.concat(strings(args));
    if (fd === 1) {
      this.#tell(bytes.toString());
      return undefined;
    }
    const open = this.#open.get(fd);
    if (open?.file === undefined) return undefined;
    const {file} = open;
    const {events} = this.recorder;
    const isPlaced = name.startsWith('p');
    const position = isPlaced ? Number(/, (\d+)\)?[^,"]*$/.exec(args)?.[1]) : open.position;
    if (!Number.isSafeInteger(position)) throw new Error(`a write without a position: ${args.slice(-80)}`);
    if (!isPlaced) open.position = position + bytes.length;
    const from = events.length;
    events.push({kind: 'write', file, position, bytes});
    if (!open.isSynchronous) return undefined;
    return () => events.push({kind: 'sync', file, from, covers: from + 1});
  }

  #tell(text: string): void {
    this.#output += text;
    const lines = this.#output.split('\n');
    this.#output = lines.pop() ?? '';
    for (const line of lines) this.recorder.promise(JSON.parse(line));
  }

  /** The paths below the root that stand in the arguments; LMDB's lock file counts for nothing. */
  #paths(args: string): string[] {
    return strings(args)
      .map(String)
      .filter((path) => path.startsWith(`${this.#root}/`) || path === this.#root)
      .map((path) => relative(this.#root, path))
      .filter((path) => !path.endsWith('-lock'));
  }
}

/** Folders have no dot in their names, nor have the marker and the note: those are known. */
const isFile = (path: string) => /\.(wal|tmp|mdb|new)$|(^|\/)(KVD|opening|lock)$/.test(path);

function strings(args: string): Buffer[] {
  return [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, text]) =>
    Buffer.from(text.replaceAll('\\x', ''), 'hex'),
  );
}
