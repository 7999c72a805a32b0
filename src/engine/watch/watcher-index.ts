/** Which watchers look at a key: a map for single keys, an interval tree for ranges. */

import {IntervalTree} from '../lib/interval-tree.ts';
import type {Watcher} from './watcher.ts';

export class WatcherIndex {
  readonly #ofKey = new Map<string, Set<Watcher>>();
  readonly #ofRange = new IntervalTree<Watcher>();
  readonly #all = new Set<Watcher>();

  get size(): number {
    return this.#all.size;
  }

  /** In the order they came; the index must not change meanwhile. */
  watchers(): IterableIterator<Watcher> {
    return this.#all.values();
  }

  add(watcher: Watcher): void {
    this.#all.add(watcher);
    if (!watcher.isSingleKey) {
      this.#ofRange.add(watcher, watcher);
      return;
    }
    const watchers = this.#ofKey.get(watcher.from);
    if (watchers === undefined) this.#ofKey.set(watcher.from, new Set([watcher]));
    else watchers.add(watcher);
  }

  delete(watcher: Watcher): void {
    if (!this.#all.delete(watcher)) return;
    if (!watcher.isSingleKey) {
      this.#ofRange.delete(watcher, watcher);
      return;
    }
    const watchers = this.#ofKey.get(watcher.from);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#ofKey.delete(watcher.from);
  }

  clear(): void {
    this.#ofKey.clear();
    this.#ofRange.clear();
    this.#all.clear();
  }

  visit(key: string, visitor: (watcher: Watcher) => void): void {
    const watchers = this.#ofKey.get(key);
    if (watchers !== undefined) for (const watcher of watchers) visitor(watcher);
    if (this.#ofRange.size > 0) this.#ofRange.visit(key, visitor);
  }
}
