/**
 * Who holds which lock, by what clients were told, by the store, and by the clocks of the holders: never two at a
 * time, never one whose key went with its lease, and fencing tokens that only rise.
 */

import type {Violate} from './history.ts';
import type {KvModel} from './kv-model.ts';

export interface Hold {
  readonly lock: string;
  readonly holder: string;
  readonly key: string;
  /** The fencing token: the revision that created the key. */
  readonly token: number;
}

interface Belief {
  readonly hold: Hold;
  /** As long as the holder may believe that its lease lives. */
  untilMs: number;
}

export interface LockBookOptions {
  readonly model: Pick<KvModel, 'at'>;
  readonly nowMs: () => number;
  readonly violate: Violate;
}

export class LockBook {
  readonly #options: LockBookOptions;
  readonly #beliefs = new Map<string, Belief>();
  /** By lock and token. */
  readonly #holders = new Map<string, string>();
  /** By lock: revisions at which somebody was seen to hold it, with the token. */
  readonly #seen = new Map<string, {readonly revision: number; readonly token: number}[]>();
  acquired = 0;
  fencedWrites = 0;

  constructor(options: LockBookOptions) {
    this.#options = options;
  }

  /** Told, by a read at this revision, that it holds the lock; may believe so until then. */
  holds(hold: Hold, {revision, untilMs}: {readonly revision: number; readonly untilMs: number}): void {
    this.acquired++;
    const {lock, holder, token} = hold;
    const name = `${lock} ${token}`;
    const other = this.#holders.get(name);
    if (other !== undefined && other !== holder)
      this.#violate(`${holder} and ${other} both hold ${lock} with token ${token}`);
    this.#holders.set(name, holder);
    const belief = this.#beliefs.get(lock);
    if (belief !== undefined && belief.hold.token !== token && belief.untilMs > this.#options.nowMs())
      this.#violate(
        `${holder} holds ${lock} with token ${token}, while ${belief.hold.holder} does with ${belief.hold.token}`,
      );
    this.#beliefs.set(lock, {hold, untilMs});
    this.#see(hold, revision, revision);
  }

  /** Its lease was renewed. */
  renewed(hold: Hold, untilMs: number): void {
    const belief = this.#beliefs.get(hold.lock);
    if (belief?.hold.token === hold.token) belief.untilMs = Math.max(belief.untilMs, untilMs);
  }

  /** It no longer believes so: it is about to give the lock back, or gave up. */
  letGo(hold: Hold): void {
    if (this.#beliefs.get(hold.lock)?.hold.token === hold.token) this.#beliefs.delete(hold.lock);
  }

  /** A write on the condition that the key of this token is there was carried out. */
  wrote(hold: Hold, revision: number): void {
    this.fencedWrites++;
    this.#see(hold, revision, revision - 1);
  }

  /** At this revision it was the holder, by the state of the store at `stateOf`. */
  #see({lock, holder, key, token}: Hold, revision: number, stateOf: number): void {
    let first: {readonly key: string; readonly createRevision: number} | undefined;
    for (const kv of this.#options.model.at(stateOf).values()) {
      if (!kv.key.startsWith(`${lock}/`)) continue;
      if (first === undefined || kv.createRevision < first.createRevision) first = kv;
    }
    if (first?.key !== key || first.createRevision !== token) {
      const holds = first === undefined ? 'nobody does' : `${first.key} does with ${first.createRevision}`;
      this.#violate(
        `${holder} holds ${lock} with token ${token} at revision ${revision}; by the store ${holds}`,
      );
    }
    const seen = this.#seen.get(lock) ?? [];
    this.#seen.set(lock, seen);
    for (const one of seen) {
      const isRising = one.revision < revision ? one.token <= token : one.token >= token;
      if (!isRising && one.revision !== revision)
        this.#violate(`${lock}: token ${token} at ${revision}, but ${one.token} at ${one.revision}`);
    }
    seen.push({revision, token});
  }

  #violate(detail: string): void {
    this.#options.violate('locks', detail);
  }
}
