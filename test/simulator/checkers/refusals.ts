/**
 * Whether a client was refused rightly, where that can be known: a revision that is gone must have been compacted by
 * now, one that is yet to come must not have been shown already, and a lease that lives is there for every write.
 */

import type {EngineErrorCode} from '../../../src/engine/errors.ts';
import type {LeaseId} from '../../../src/engine/types.ts';
import type {Violate} from '../history.ts';
import type {KvModel} from '../kv-model.ts';
import type {LeaseBook} from '../lease-book.ts';

type Code = EngineErrorCode | 'unreachable';

export interface RefusalsOptions {
  readonly model: Pick<KvModel, 'compactRevision'>;
  readonly leases: Pick<LeaseBook, 'livesSurely'>;
  readonly violate: Violate;
}

export class Refusals {
  readonly #model: RefusalsOptions['model'];
  readonly #leases: RefusalsOptions['leases'];
  readonly #violate: Violate;

  constructor({model, leases, violate}: RefusalsOptions) {
    this.#model = model;
    this.#leases = leases;
    this.#violate = violate;
  }

  /** `revision` 0: the current one. `reached`: what whoever was asked must have come to, 0 when that is not known. */
  read(
    who: string,
    code: Code,
    {revision, reached}: {readonly revision: number; readonly reached: number},
  ): void {
    const {compactRevision} = this.#model;
    // What is current may be compacted while it is read.
    const oldest = revision > 0 ? revision : reached;
    if (code === 'compacted' && oldest >= compactRevision)
      this.#wrong(who, code, `a read at ${oldest} or later, compacted is ${compactRevision}`);
    if (code === 'futureRevision' && revision <= reached)
      this.#wrong(who, code, `a read at ${revision}, after ${reached} was shown`);
    if (code === 'leaseNotFound') this.#wrong(who, code, 'a read');
  }

  /** `floor`: the largest revision that anybody was shown before. */
  compact(
    who: string,
    code: Code,
    {revision, floor}: {readonly revision: number; readonly floor: number},
  ): void {
    const {compactRevision} = this.#model;
    if (code === 'compacted' && revision > compactRevision)
      this.#wrong(who, code, `to compact at ${revision}, compacted is ${compactRevision}`);
    if (code === 'futureRevision' && revision <= floor)
      this.#wrong(who, code, `to compact at ${revision}, after ${floor} was shown`);
  }

  /** Of a request that names no revision; `leases`: all that its puts name, 0n for none. */
  write(who: string, code: Code, {leases}: {readonly leases: readonly LeaseId[]}): void {
    if (code === 'compacted' || code === 'futureRevision')
      this.#wrong(who, code, 'a write that names no revision');
    if (code === 'leaseNotFound' && leases.every((id) => id === 0n || this.#leases.livesSurely(id)))
      this.#wrong(who, code, `a write with ${leases.join(', ') || 'no lease'}`);
  }

  #wrong(who: string, code: Code, detail: string): void {
    this.#violate('refusals', `${who} was refused as ${code}: ${detail}`);
  }
}
