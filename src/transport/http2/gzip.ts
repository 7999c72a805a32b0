/**
 * gzip of messages. Small ones are done at once; large ones off the event loop, one at a time over the whole process,
 * and very large ones that are made slice by slice with the others between: the system threads that do it are those
 * that sync the log.
 */

import {once} from 'node:events';
import {createRequire} from 'node:module';
import type Zlib from 'node:zlib';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {GZIP_INLINE_BYTES_MAX, GZIP_SLICE_BYTES} from './limits.ts';

/** Smaller messages are not worth compressing. */
const COMPRESSED_BYTES_LEAST = 1024;
/** gzip ends with the length of what it holds, four bytes with the lowest first. */
const LENGTH_BYTES = 4;
/** Compressed bytes come in pieces of this size; each costs a trip to a thread. */
const GZIP_CHUNK_BYTES = 64 * 1024;

export interface PackedMessage {
  readonly bytes: Uint8Array;
  readonly isCompressed: boolean;
}

/** Loaded with the first compressed message: commands start without it. */
let loadedZlib: typeof Zlib | undefined;
function zlib(): typeof Zlib {
  loadedZlib ??= createRequire(import.meta.url)('node:zlib') as typeof Zlib;
  return loadedZlib;
}

/** The end of the large jobs so far; never rejects. */
let jobs: Promise<unknown> = Promise.resolve();

function queue<Result>(job: () => Promise<Result>): Promise<Result> {
  const result = jobs.then(job);
  jobs = result.catch(() => undefined);
  return result;
}

/** Whoever pays for a job that waits; also when nobody wants its result any more. */
export interface JobBudget {
  /** Counts bytes held in memory; negative: no longer. */
  hold(bytes: number): void;
  isOverBudget(): boolean;
}

/** Counts the message until it is done. @throws GrpcError resourceExhausted */
function payFor<Result>(
  message: Uint8Array,
  budget: JobBudget,
  work: () => Promise<Result>,
): Promise<Result> {
  budget.hold(message.length);
  if (budget.isOverBudget()) {
    budget.hold(-message.length);
    throw new GrpcError(GrpcStatus.resourceExhausted, 'grpc: this connection holds too much memory');
  }
  return work().finally(() => budget.hold(-message.length));
}

/**
 * Compresses where it pays; a promise for a message too large to do it at once.
 * @throws GrpcError resourceExhausted: too much waits for it
 */
export function packMessage(message: Uint8Array, budget: JobBudget): PackedMessage | Promise<PackedMessage> {
  if (message.length < COMPRESSED_BYTES_LEAST) return {bytes: message, isCompressed: false};
  if (message.length <= GZIP_INLINE_BYTES_MAX) {
    return {bytes: zlib().gzipSync(message, {level: 1}), isCompressed: true};
  }
  return payFor(message, budget, () => compress(message, budget)).then((bytes) => ({
    bytes,
    isCompressed: true,
  }));
}

function compress(message: Uint8Array, budget: JobBudget): Promise<Uint8Array> {
  if (message.length > GZIP_SLICE_BYTES) return compressSlices(message, budget);
  return queue(
    () =>
      new Promise((resolve, reject) => {
        zlib().gzip(message, {level: 1}, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
      }),
  );
}

/** Each slice is a job of its own: shorter messages do not wait for the end of a very large one. */
async function compressSlices(message: Uint8Array, budget: JobBudget): Promise<Uint8Array> {
  const gzip = zlib().createGzip({level: 1, chunkSize: GZIP_CHUNK_BYTES});
  // Whoever waits for a slice is told.
  gzip.on('error', () => undefined);
  const parts: Buffer[] = [];
  let packedBytes = 0;
  gzip.on('data', (part: Buffer) => {
    parts.push(part);
    packedBytes += part.length;
    budget.hold(part.length);
  });
  try {
    for (let at = 0; at < message.length; at += GZIP_SLICE_BYTES) {
      const slice = message.subarray(at, at + GZIP_SLICE_BYTES);
      await queue(() => write(gzip, slice));
    }
    await queue(() => once(gzip.end(), 'end'));
    return Buffer.concat(parts);
  } finally {
    budget.hold(-packedBytes);
  }
}

function write(gzip: Zlib.Gzip, slice: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    gzip.write(slice, (error) => (error ? reject(error) : resolve()));
  });
}

/** @throws GrpcError resourceExhausted (too large), internal (no gzip) */
export function unpackMessage(bytes: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return zlib().gunzipSync(bytes, {maxOutputLength: Math.max(1, bytesMax)});
  } catch (error) {
    throw unpackError(error, bytesMax);
  }
}

/**
 * The same if it is small when unpacked, whatever it claims to be.
 * @returns undefined: it is larger, and nothing is known of it yet
 */
export function unpackSmallMessage(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
  if (unpackedBytes(bytes) > GZIP_INLINE_BYTES_MAX) return undefined;
  try {
    return unpackMessage(bytes, Math.min(bytesMax, GZIP_INLINE_BYTES_MAX));
  } catch (error) {
    if (error instanceof GrpcError && error.status === GrpcStatus.resourceExhausted) return undefined;
    throw error;
  }
}

/** What its last bytes say: only a hint, since a peer may lie. */
function unpackedBytes(bytes: Uint8Array): number {
  const at = bytes.length - LENGTH_BYTES;
  return at < 0 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

/**
 * As {@link unpackMessage}, off the event loop; the same errors reject.
 * @throws GrpcError resourceExhausted: too much waits for it
 */
export function unpackLargeMessage(
  bytes: Uint8Array,
  bytesMax: number,
  budget: JobBudget,
): Promise<Uint8Array> {
  return payFor(bytes, budget, () => queue(() => unpack(bytes, bytesMax)));
}

function unpack(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zlib().gunzip(bytes, {maxOutputLength: Math.max(1, bytesMax)}, (error, unpacked) =>
      error === null ? resolve(unpacked) : reject(unpackError(error, bytesMax)),
    );
  });
}

function unpackError(error: unknown, bytesMax: number): GrpcError {
  if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
    return new GrpcError(
      GrpcStatus.resourceExhausted,
      `grpc: received message after decompression larger than max ${bytesMax}`,
    );
  }
  return new GrpcError(GrpcStatus.internal, 'grpc: failed to decompress the received message', error);
}
