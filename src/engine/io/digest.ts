/** SHA-1 (for etcd's ids) and SHA-256 from the platform. */

import {createHash} from 'node:crypto';
import type {Digest} from '../ports.ts';

/** A running SHA-256; `finish` gives 32 bytes and ends it. */
export function createSha256(): Digest {
  return createDigest('sha256');
}

/** A running SHA-1; `finish` gives 20 bytes and ends it. */
export function createSha1(): Digest {
  return createDigest('sha1');
}

function createDigest(algorithm: 'sha1' | 'sha256'): Digest {
  const hash = createHash(algorithm);
  return {
    update(bytes: Uint8Array): void {
      hash.update(bytes);
    },
    finish(): Uint8Array {
      return hash.digest();
    },
  };
}
