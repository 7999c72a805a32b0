/** Makes one call of Node's file system fail, or write less than it was given, for the real Disk on top of it. */

import {createRequire, syncBuiltinESMExports} from 'node:module';

const fs = createRequire(import.meta.url)('node:fs') as Record<string, unknown> & {
  readonly promises: Record<string, unknown>;
};

type Done = (error: NodeJS.ErrnoException | null, result?: unknown) => void;
type Call = (...args: unknown[]) => unknown;

/** The calls that the real Disk makes: with a callback, at once, or with a promise. */
const WITH_CALLBACK = [
  'open',
  'read',
  'readFile',
  'write',
  'fdatasync',
  'fsync',
  'ftruncate',
  'fstat',
  'close',
  'readdir',
  'mkdir',
  'rename',
  'rm',
];
const AT_ONCE = ['writeSync'];

export interface SystemFault {
  /** 0: none fails, they are only counted. */
  readonly failAt: number;
  /** A code of the system; `short`: a write takes a part only, and says so. */
  readonly code: 'EIO' | 'ENOSPC' | 'EMFILE' | 'EROFS' | 'EDQUOT' | 'EINTR' | 'short';
}

/**
 * Runs `work` while the file system has this fault. Only calls are counted that concern the disk under test: nothing
 * else may use the file system meanwhile.
 */
export async function withSystemFault<T>(
  fault: SystemFault,
  work: () => Promise<T>,
): Promise<{result: T; calls: number; failed: string | undefined}> {
  let calls = 0;
  let failed: string | undefined;
  const originals = new Map<string, Call>();
  const isDue = (name: string): boolean => {
    calls++;
    if (calls !== fault.failAt) return false;
    failed = name;
    return true;
  };
  const replace = (name: string, make: (original: Call) => Call) => {
    const original = fs[name] as Call;
    originals.set(name, original);
    fs[name] = make(original);
  };
  for (const name of WITH_CALLBACK) {
    replace(name, (original) => (...args) => {
      if (!isDue(name)) return original(...args);
      if (fault.code === 'short') return original(...(name === 'write' ? shortened(args) : args));
      // The descriptor is gone all the same.
      if (name === 'close') return original(args[0], () => (args.at(-1) as Done)(errorOf(fault.code)));
      return setImmediate(() => (args.at(-1) as Done)(errorOf(fault.code)));
    });
  }
  for (const name of AT_ONCE) {
    replace(name, (original) => (...args) => {
      if (!isDue(name)) return original(...args);
      if (fault.code === 'short') return original(...shortened(args));
      throw errorOf(fault.code);
    });
  }
  syncBuiltinESMExports();
  try {
    return {result: await work(), calls, failed};
  } finally {
    for (const [name, original] of originals) fs[name] = original;
    syncBuiltinESMExports();
  }
}

/** write(fd, bytes, offset, length, position …) with half the length. */
function shortened(args: unknown[]): unknown[] {
  const copy = [...args];
  copy[3] = Math.max(1, Math.floor((args[3] as number) / 2));
  return copy;
}

function errorOf(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), {code});
}
