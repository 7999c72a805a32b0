/**
 * The changes of one command: they share a main revision and count subs from 0. Nobody outside sees them before
 * the store moves to that revision.
 */

import {assert} from '../../errors.ts';
import {fromLatin1, toLatin1} from '../../lib/bytes.ts';
import {type Event, EventType, type LeaseId} from '../../types.ts';
import type {Effects} from '../effects.ts';
import type {Lessor} from '../lease/lessor.ts';
import type {DeletionSettler} from './deletion-settler.ts';
import type {KeyValueReader} from './key-value-reader.ts';
import {DeletedKeyValue, encodeKeyValue, encodeTombstoneKey, StoredKeyValue} from './key-value-record.ts';
import {encodeRevision, encodeTombstoneRevision} from './revision.ts';

export class WriteTxn {
  readonly reader: KeyValueReader;
  readonly main: number;
  readonly events: Event[] = [];
  readonly #effects: Effects;
  readonly #lessor: Lessor;
  readonly #settler: DeletionSettler;
  #sub = 0;

  constructor(options: {
    reader: KeyValueReader;
    effects: Effects;
    lessor: Lessor;
    settler: DeletionSettler;
    main: number;
  }) {
    this.reader = options.reader;
    assert(options.main > 1, 'the first revision is the empty store');
    this.main = options.main;
    this.#effects = options.effects;
    this.#lessor = options.lessor;
    this.#settler = options.settler;
  }

  get hasChanges(): boolean {
    return this.#sub > 0;
  }

  /** Where reads inside this transaction read: they see its own changes so far. */
  get at(): number {
    return this.#sub > 0 ? this.main : this.main - 1;
  }

  /** Whether a key that is put should be given to {@link listSlices} before. */
  get hasUnsettled(): boolean {
    return this.reader.index.deletions.count > 0;
  }

  /** What a deletion took together with this key is listed in slices. */
  listSlices(key: Uint8Array): Generator<undefined, void> {
    return this.#settler.listSlices(toLatin1(key));
  }

  put({key, value, lease}: {key: Uint8Array; value: Uint8Array; lease: LeaseId}): void {
    assert(this.events.length === this.#sub, 'every change has its event');
    const keyText = toLatin1(key);
    const {main} = this;
    this.#settler.settleKey(keyText);
    const sub = this.#sub++;
    const {created, version} = this.reader.index.put(keyText, main, sub);
    const record = encodeKeyValue({key, createRevision: created, modRevision: main, version, value, lease});
    this.#effects.put('key', encodeRevision(main, sub), record);
    this.#lessor.attach(keyText, lease);
    this.events.push({type: EventType.put, kv: new StoredKeyValue(record, main, keyText), prevKv: undefined});
  }

  /** Deletes a key that lives. */
  delete(keyText: string): void {
    assert(this.events.length === this.#sub, 'every change has its event');
    const {main} = this;
    const sub = this.#sub++;
    this.reader.index.delete(keyText, main, sub);
    this.#effects.put('key', encodeTombstoneRevision(main, sub), encodeTombstoneKey(fromLatin1(keyText)));
    this.#lessor.attach(keyText, 0n);
    this.events.push({type: EventType.delete, kv: new DeletedKeyValue(keyText, main), prevKv: undefined});
  }
}
