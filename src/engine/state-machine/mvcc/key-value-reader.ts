/** Reads key-values through the index at any revision that still stands. */

import {assert, EngineError} from '../../errors.ts';
import {toLatin1} from '../../lib/bytes.ts';
import type {KeyRange} from '../../types.ts';
import type {Effects} from '../effects.ts';
import type {Records} from '../records.ts';
import type {DistantKeyValue} from './distant-key-value.ts';
import {KeyIndex} from './key-index.ts';
import {StoredKeyValue} from './key-value-record.ts';
import {corruptRecord, fillRevision, REVISION_BYTES} from './revision.ts';
import type {TextRange} from './text-range.ts';

export class KeyValueReader {
  readonly index = new KeyIndex();
  readonly records: Records;
  readonly #effects: Effects;
  /** Reads below this revision are refused; -1 before the first compaction, as in etcd's answers. */
  compactRevision = -1;
  /** Reused for every lookup: records do not keep the key they are asked for. */
  readonly #lookupKey = Buffer.alloc(REVISION_BYTES);

  constructor(effects: Effects) {
    this.#effects = effects;
    this.records = effects.records;
  }

  /** False while a snapshot that replaced the records is not loaded yet. */
  get isInStep(): boolean {
    return this.#effects.isInStep;
  }

  /** The put that shows at `at`. */
  get(keyText: string, at: number): StoredKeyValue | undefined {
    const revision = this.index.find(keyText, at);
    return revision && this.load(keyText, revision.main, revision.sub);
  }

  /** The value under a revision that the index named. @throws EngineError storeCorrupt when it is not there */
  load(keyText: string, main: number, sub: number): StoredKeyValue {
    const encoded = this.records.get('key', fillRevision(this.#lookupKey, main, sub));
    if (encoded === undefined) throw corruptRecord(`revision ${main}.${sub} is missing`);
    return new StoredKeyValue(encoded, main, keyText);
  }

  /**
   * As {@link load}, for an answer that read at `at` and comes back for it later.
   * @throws EngineError compacted when it has been deleted meanwhile; timeoutWaitingForApply while a snapshot is loaded
   */
  loadAgain(kv: DistantKeyValue, at: number): Uint8Array {
    if (!this.isInStep) throw new EngineError({code: 'timeoutWaitingForApply'});
    const {modRevision, sub} = kv;
    const encoded = this.records.get('key', fillRevision(this.#lookupKey, modRevision, sub));
    if (encoded !== undefined) return encoded;
    this.requireReadable(at);
    throw corruptRecord(`revision ${modRevision}.${sub} is missing`);
  }

  /**
   * Asked when a walk begins and after every breath: whether its revision still stands.
   * @throws EngineError compacted; timeoutWaitingForApply while a snapshot is being loaded
   */
  requireReadable(at: number): void {
    if (!this.isInStep) throw new EngineError({code: 'timeoutWaitingForApply'});
    const {compactRevision} = this;
    if (at < compactRevision) throw new EngineError({code: 'compacted', compactRevision});
  }
}

/** A single 0 byte as end means "to the end of keys"; an empty end is not a range and not for here. */
export function toTextRange({key, rangeEnd}: KeyRange): TextRange {
  assert(rangeEnd.length > 0, 'a range has an end');
  const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return {from: toLatin1(key), to: isOpen ? undefined : toLatin1(rangeEnd)};
}
