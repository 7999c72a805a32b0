/**
 * A key-value of a large answer: known, and left in the store until it is sent. A reader who takes very long may find
 * that a compaction past the revision it reads at has deleted it.
 */

import {assert} from '../../errors.ts';
import type {KeyValue, LeaseId} from '../../types.ts';
import {decodeKeyValue} from './key-value-record.ts';

/** Reads it. @throws EngineError compacted, timeoutWaitingForApply */
export type ReadAgain = (kv: DistantKeyValue) => Uint8Array;

export class DistantKeyValue implements KeyValue {
  readonly modRevision: number;
  readonly sub: number;
  readonly distantBytes: number;
  readonly #readAgain: ReadAgain;

  constructor(options: {modRevision: number; sub: number; bytes: number; readAgain: ReadAgain}) {
    this.modRevision = options.modRevision;
    this.sub = options.sub;
    this.distantBytes = options.bytes;
    this.#readAgain = options.readAgain;
  }

  get encoded(): Uint8Array {
    const encoded = this.#readAgain(this);
    assert(encoded.length === this.distantBytes, 'a stored revision never changes');
    return encoded;
  }

  get key(): Uint8Array {
    return decodeKeyValue(this.encoded).key;
  }

  get createRevision(): number {
    return decodeKeyValue(this.encoded).createRevision;
  }

  get version(): number {
    return decodeKeyValue(this.encoded).version;
  }

  get value(): Uint8Array {
    return decodeKeyValue(this.encoded).value;
  }

  get lease(): LeaseId {
    return decodeKeyValue(this.encoded).lease;
  }
}
