/** SHA-256 from the platform. */

import {createHash} from 'node:crypto';
import type {Digest} from '../ports.ts';

/** A running SHA-256; `finish` gives 32 bytes and ends it. */
export function createSha256(): Digest {
  const hash = createHash('sha256');
  return {
    update(bytes: Uint8Array): void {
      hash.update(bytes);
    },
    finish(): Uint8Array {
      return hash.digest();
    },
  };
}
