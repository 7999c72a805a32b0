/**
 * One process per folder, with a lock that its holder's death releases (kill -9 too) and that a stale trace of a
 * dead holder never blocks. Node has no flock; a listening unix socket is what the kernel takes back by itself:
 *
 * - An abstract socket named after the folder's device and inode: bound by at most one process, gone with it. It
 *   decides between processes of one network namespace, without any race.
 * - A socket file in the folder: seen also from another container on the same machine that mounts the folder. A
 *   file whose holder died refuses connections and is replaced. Between *containers* that start in the same
 *   instant over a stale file there is a window of microseconds that this does not close.
 *
 * Machines that share a folder over the network are not seen (LMDB does not run there either).
 */

import {closeSync, constants, existsSync, openSync, renameSync, rmSync, statSync} from 'node:fs';
import {connect, createServer, type Server} from 'node:net';
import {join} from 'node:path';
import {EngineError} from '../errors.ts';

const SOCKET_NAME = 'lock';
/** Stale files that may turn up one behind the other while the lock is taken: more means somebody plays with it. */
const ATTEMPTS_MAX = 5;

/**
 * Takes the folder for this process.
 * @returns a function that gives it back
 * @throws EngineError `dataDirLocked`, or `dataDirUnusable` when the folder cannot be written
 */
export async function lockFolder(path: string): Promise<() => Promise<void>> {
  let folder: number;
  try {
    folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw unusable(path, error);
  }
  const held: Server[] = [];
  const release = async (): Promise<void> => {
    for (const server of held.reverse()) await closeServer(server);
    closeSync(folder);
  };
  try {
    if (process.platform === 'linux') held.push(await takeAbstractSocket(path));
    const file = await takeSocketFile(path, socketPath(path, folder));
    if (file !== undefined) held.push(file);
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

async function takeAbstractSocket(path: string): Promise<Server> {
  const {dev, ino} = statSync(path, {bigint: true});
  const bound = await listen(`\0kvd-data-dir-${dev}-${ino}`);
  if (bound === 'inUse') throw new EngineError({code: 'dataDirLocked', path});
  if (bound instanceof Error) throw unusable(path, bound);
  return bound;
}

/** @returns undefined where the file system has no sockets (some shared folders of virtual machines) */
async function takeSocketFile(path: string, socket: string): Promise<Server | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const bound = await listen(socket);
    if (bound === 'inUse') {
      await clearStaleSocket(path, socket);
    } else if (bound instanceof Error) {
      if (isWithoutSockets(bound)) return undefined;
      throw unusable(path, bound, 'making the lock in it failed: ');
    } else {
      return bound;
    }
  }
  throw new EngineError({code: 'dataDirLocked', path});
}

/**
 * The file is moved aside before it is judged: of several who find it stale, one moves it, and one that moved a
 * live holder's file by mistake sees that it answers and puts it back.
 */
async function clearStaleSocket(path: string, socket: string): Promise<void> {
  if (await answers(socket)) throw new EngineError({code: 'dataDirLocked', path});
  const aside = `${socket}.${process.pid}.tmp`;
  try {
    renameSync(socket, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw unusable(path, error);
  }
  if (await answers(aside)) {
    renameSync(aside, socket);
    throw new EngineError({code: 'dataDirLocked', path});
  }
  rmSync(aside, {force: true});
}

/** Sockets have names of at most 107 bytes; through the open folder every path is short. */
function socketPath(path: string, folder: number): string {
  const short = `/proc/self/fd/${folder}/${SOCKET_NAME}`;
  return existsSync(`/proc/self/fd/${folder}`) ? short : join(path, SOCKET_NAME);
}

function listen(name: string): Promise<Server | Error | 'inUse'> {
  return new Promise((resolve) => {
    const server = createServer((connection) => connection.destroy());
    server.once('error', (error) => resolve(codeOf(error) === 'EADDRINUSE' ? 'inUse' : error));
    // Never keeps the process alive: whoever holds the folder has other work.
    server.listen(name, () => resolve(server.unref()));
  });
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    // A full backlog (EAGAIN) is a live holder, too.
    connection.once('error', (error) => resolve(codeOf(error) === 'EAGAIN'));
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function isWithoutSockets(error: Error): boolean {
  const code = codeOf(error);
  return code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'EPERM' || code === 'EINVAL';
}

function unusable(path: string, error: unknown, what = ''): EngineError {
  const detail = `${what}${codeOf(error) ?? String(error)}`;
  return new EngineError({code: 'dataDirUnusable', path, detail}, error);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
