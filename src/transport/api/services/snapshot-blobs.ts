/** Cuts a snapshot's bytes as clients expect them: parts of one size, and the digest by itself at the end. */

import {assert} from '../../../engine/errors.ts';

/** SHA-256. */
export const DIGEST_BYTES = 32;

/** Of the chunks only what does not fill a part is copied. */
export async function* snapshotBlobs(
  chunks: AsyncIterable<Uint8Array>,
  {totalBytes, blobBytes}: {totalBytes: number; blobBytes: number},
): AsyncGenerator<Uint8Array, void> {
  const databaseBytes = totalBytes - DIGEST_BYTES;
  let sent = 0;
  let rest: Uint8Array = Buffer.alloc(0);
  for await (const chunk of chunks) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const left = sent < databaseBytes ? databaseBytes - sent : totalBytes - sent;
      const size = Math.min(blobBytes, left);
      if (size === 0 || bytes.length < size) break;
      yield bytes.subarray(0, size);
      bytes = bytes.subarray(size);
      sent += size;
    }
    rest = bytes;
  }
  assert(sent === totalBytes && rest.length === 0, 'a snapshot is as long as was announced');
}
