/**
 * A map in the order of its string keys (char by char, so that latin1 strings stand in the order of their bytes),
 * on a B+ tree. Walks are bounded and continue by key, never by position: the map may change between two of them.
 */

import BTreePackage from 'sorted-btree';

// The package is CommonJS: its class is the `default` of its exports, whatever the loader makes of that.
const BTree = (
  'default' in BTreePackage ? (BTreePackage as unknown as {default: unknown}).default : BTreePackage
) as typeof BTreePackage.default;

const NODE_KEYS = 64;

function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a === b ? 0 : 1;
}

export class SortedMap<Value> {
  readonly #tree = new BTree<string, Value>(undefined, compareKeys, NODE_KEYS);

  get size(): number {
    return this.#tree.size;
  }

  get(key: string): Value | undefined {
    return this.#tree.get(key);
  }

  set(key: string, value: Value): void {
    this.#tree.set(key, value);
  }

  delete(key: string): boolean {
    return this.#tree.delete(key);
  }

  clear(): void {
    this.#tree.clear();
  }

  /**
   * Visits at most `countMax` entries from `from` on, before `to` (undefined: to the end), in order. The visitor
   * must not change the map; it ends the walk by returning true, and the entry it did that at counts as visited.
   * @returns the key to continue from, or undefined when the range is done
   */
  walk(
    range: {readonly from: string; readonly to: string | undefined; readonly countMax: number},
    visit: (key: string, value: Value) => boolean | undefined,
  ): string | undefined {
    const tree = this.#tree;
    const to = range.to ?? tree.maxKey();
    if (to === undefined || range.from > to) return undefined;
    let left = range.countMax;
    let next: string | undefined;
    tree.forRange(range.from, to, range.to === undefined, (key, value) => {
      if (left <= 0) {
        next = key;
        return STOP;
      }
      left = visit(key, value) === true ? 0 : left - 1;
      return undefined;
    });
    return next;
  }

  /** The entries in order, from `from` on; the map must not change meanwhile. */
  entries(from?: string): IterableIterator<[string, Value]> {
    return this.#tree.entries(from);
  }
}

const STOP = {break: -1} as const;
