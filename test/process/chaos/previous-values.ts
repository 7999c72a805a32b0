/** What watches say was there before their events, held against what happened. */

import type {Message} from '../raw-grpc.ts';
import {describe, keyValueOf, type TruthEvent, truthEventOf} from './chaos-history.ts';

/** An event as a watch brought it. */
export interface WatchedEvent extends TruthEvent {
  /** What was there before it, in words; undefined: the watch did not ask. */
  readonly before: string | undefined;
}

const NOTHING = 'nothing';

export function watchedEventOf(message: Message, options: {readonly asksBefore: boolean}): WatchedEvent {
  const {prev_kv: previous} = message;
  const before = previous === null ? NOTHING : describe(keyValueOf(previous));
  return {...truthEventOf(message), before: options.asksBefore ? before : undefined};
}

/**
 * @param truth everything that happened to the watched keys from revision 1 on, in order
 * @returns the first that is wrong, in words
 */
export function wrongPrevious(
  events: readonly WatchedEvent[],
  truth: readonly TruthEvent[],
): string | undefined {
  const latest = new Map<string, string>();
  let place = 0;
  for (const {key, revision, text, before} of events) {
    for (; place < truth.length && truth[place].revision < revision; place++) {
      const {key: changed, kv} = truth[place];
      latest.set(changed, kv === undefined ? NOTHING : describe(kv));
    }
    const wanted = latest.get(key) ?? NOTHING;
    if (before !== undefined && before !== wanted)
      return `${text} came with ${before} as what was before it, which is ${wanted}`;
  }
  return undefined;
}
