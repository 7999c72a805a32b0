/**
 * gzip of messages. Small ones are done at once; large ones off the event loop, one at a time over the whole process:
 * the system threads that do it are those that sync the log.
 */

import {createRequire} from 'node:module';
import type Zlib from 'node:zlib';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {GZIP_INLINE_BYTES_MAX} from './limits.ts';

/** Smaller messages are not worth compressing. */
const COMPRESSED_BYTES_LEAST = 1024;
/** gzip ends with the length of what it holds, four bytes with the lowest first. */
const LENGTH_BYTES = 4;

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

/** Counts the message for as long as its job stands in the queue. @throws GrpcError resourceExhausted */
function queueFor<Result>(
  message: Uint8Array,
  budget: JobBudget,
  job: () => Promise<Result>,
): Promise<Result> {
  budget.hold(message.length);
  if (budget.isOverBudget()) {
    budget.hold(-message.length);
    throw new GrpcError(GrpcStatus.resourceExhausted, 'grpc: this connection holds too much memory');
  }
  return queue(job).finally(() => budget.hold(-message.length));
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
  return queueFor(
    message,
    budget,
    () =>
      new Promise((resolve, reject) => {
        zlib().gzip(message, {level: 1}, (error, bytes) =>
          error === null ? resolve({bytes, isCompressed: true}) : reject(error),
        );
      }),
  );
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
  return queueFor(
    bytes,
    budget,
    () =>
      new Promise((resolve, reject) => {
        zlib().gunzip(bytes, {maxOutputLength: Math.max(1, bytesMax)}, (error, unpacked) =>
          error === null ? resolve(unpacked) : reject(unpackError(error, bytesMax)),
        );
      }),
  );
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
