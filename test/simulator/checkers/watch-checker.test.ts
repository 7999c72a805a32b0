/** Each promise to watchers is broken once, and has to be found out by its name. */

import {describe, expect, it} from 'vitest';
import {type Event, EventType, type KeyValue} from '../../../src/engine/types.ts';
import {WatchFilter} from '../../../src/engine/watch/watch-request.ts';
import type {WatchResponse} from '../../../src/engine/watch/watch-response.ts';
import {KvModel, type ModelEvent, type ModelKeyValue} from '../kv-model.ts';
import {bytesOf, deleteOf, putOf} from '../requests.ts';
import {WatchChecker, type WatchCheckerOptions, type WatchGuarantee} from './watch-checker.ts';

/** Revisions: 2 a=1, 3 a=2 and b=1, 4 deletes a, 5 b=2, 6 z=1. */
function makeModel(): KvModel {
  const model = new KvModel();
  const put = (key: string, value: string) => ({requestPut: putOf(key, value)});
  model.apply(1, 1, {type: 'put', request: putOf('a', '1')});
  model.apply(2, 1, {
    type: 'txn',
    request: {compare: [], success: [put('a', '2'), put('b', '1')], failure: []},
  });
  model.apply(3, 1, {type: 'deleteRange', request: deleteOf('a')});
  model.apply(4, 1, {type: 'put', request: putOf('b', '2')});
  model.apply(5, 1, {type: 'put', request: putOf('z', '1')});
  return model;
}

const model = makeModel();

const kvOf = (kv: ModelKeyValue): KeyValue => ({...kv, key: bytesOf(kv.key), value: bytesOf(kv.value)});

function eventOf({type, key, revision, kv, before}: ModelEvent, options: {prevKv: boolean}): Event {
  const gone = {
    key: bytesOf(key),
    value: bytesOf(''),
    createRevision: 0,
    modRevision: revision,
    version: 0,
    lease: 0n,
  };
  return {
    type: type === 'put' ? EventType.put : EventType.delete,
    kv: kv === undefined ? gone : kvOf(kv),
    prevKv: options.prevKv && before !== undefined ? kvOf(before) : undefined,
  };
}

const eventsAt = (revision: number, prevKv = false): Event[] =>
  model
    .eventsOf(revision)
    .filter(({key}) => key < 'c')
    .map((event) => eventOf(event, {prevKv}));

const response = (events: readonly Event[], rest: Partial<WatchResponse> = {}): WatchResponse => ({
  revision: events.at(-1)?.kv.modRevision ?? 1,
  watchId: 0n,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  fragment: false,
  events,
  ...rest,
});

const created = response([], {created: true, revision: 1});
const progress = (revision: number) => response([], {revision});
const [r2, r3, r4, r5] = [2, 3, 4, 5].map((revision) => eventsAt(revision));

function verdicts(
  responses: readonly WatchResponse[],
  options: Partial<WatchCheckerOptions> = {},
): WatchGuarantee[] {
  const found: WatchGuarantee[] = [];
  const checker = new WatchChecker({
    model,
    from: 'a',
    to: 'c',
    prevKv: false,
    filters: [],
    firstRevision: 0,
    violate: (guarantee) => found.push(guarantee),
    ...options,
  });
  checker.opened();
  for (const one of responses) checker.take(one);
  return found;
}

const foreign = (event: Event): Event => ({...event, kv: {...event.kv, value: bytesOf('other')}});

describe('the checker of watches', () => {
  it('Ensure that a stream as it should be is not blamed.', () => {
    const whole = [created, response([...r2, ...r3]), response(r4), progress(4), response(r5), progress(6)];
    expect(verdicts(whole)).toEqual([]);
    const pieces = [
      created,
      response(r2),
      response([r3[0]], {fragment: true}),
      response([r3[1]]),
      response(r4),
    ];
    expect(verdicts(pieces)).toEqual([]);
    const withPrevious = [2, 3, 4, 5].map((revision) => response(eventsAt(revision, true)));
    expect(verdicts([created, ...withPrevious], {prevKv: true})).toEqual([]);
    expect(verdicts([created, response(r4)], {filters: [WatchFilter.noPut]})).toEqual([]);
  });

  it.each<[WatchGuarantee, string, readonly WatchResponse[], Partial<WatchCheckerOptions>]>([
    ['resumable', 'a beginning in the future', [response([], {created: true, revision: 7})], {}],
    ['ordered', 'an older revision', [response(r2), response(r3), response(r4), response(r3)], {}],
    ['ordered', 'a revision backwards', [response(r2), response([r3[1], r3[0]])], {}],
    ['unique', 'a revision again', [response(r2), response(r2)], {}],
    ['reliable', 'a revision left out', [response(r2), response(r4)], {}],
    ['atomic', 'half a revision', [response(r2), response([r3[0]])], {}],
    ['atomic', 'a revision within another', [response(r2), response([r3[0], ...r4])], {}],
    ['resumable', 'a late beginning', [response(r3)], {}],
    ['bookmarkable', 'a promise too early', [response(r2), progress(3)], {}],
    [
      'bookmarkable',
      'a promise of the future',
      [...[r2, r3, r4, r5].map((r) => response(r)), progress(9)],
      {},
    ],
    ['bookmarkable', 'a promise broken', [response(r2), progress(2), response(r2)], {}],
    ['filtered', 'another key', [response(r2)], {from: 'b', to: ''}],
    ['filtered', 'another kind', [response(r2)], {filters: [WatchFilter.noPut]}],
    ['prevKv', 'the previous value missing', [response(r2), response(r3)], {prevKv: true}],
    ['prevKv', 'one that nobody wants', [response(r2), response(eventsAt(3, true))], {}],
    [
      'isCreate',
      'an old key as a new one',
      [response(r2), response([{...r3[0], kv: {...r3[0].kv, createRevision: 3}}, r3[1]])],
      {},
    ],
    ['exact', 'another value', [response(r2.map(foreign))], {}],
    [
      'final',
      'a response after the end',
      [response([], {canceled: true, compactRevision: 3}), response(r3)],
      {},
    ],
    ['final', 'an end without a reason', [response([], {canceled: true, cancelReason: 'so'})], {}],
    ['final', 'an end by no compaction', [response([], {canceled: true, compactRevision: 3})], {}],
  ])('Ensure that %s is noticed to be broken by %s.', (guarantee, _by, responses, options) => {
    expect(verdicts([created, ...responses], options)).toContain(guarantee);
  });

  it('Ensure that a new stream goes on where the last one ended, and must not go back behind it.', () => {
    const found: WatchGuarantee[] = [];
    const checker = new WatchChecker({
      model,
      from: 'a',
      to: 'c',
      prevKv: false,
      filters: [],
      firstRevision: 0,
      violate: (guarantee) => found.push(guarantee),
    });
    checker.opened();
    for (const one of [created, response(r2), response([r3[0]], {fragment: true})]) checker.take(one);
    checker.opened();
    expect(checker.next).toBe(3);
    for (const one of [{...created, revision: 6}, response(r3), response(r4)]) checker.take(one);
    expect(checker.isComplete).toBe(false);
    checker.take(response(r5));
    expect(checker.isComplete).toBe(true);
    expect(found).toEqual([]);
    checker.opened();
    checker.take({...created, revision: 6});
    checker.take(response(r5));
    expect(found).toEqual(['resumable']);
  });
});
