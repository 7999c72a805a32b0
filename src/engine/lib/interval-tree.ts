/**
 * Half-open intervals of strings with values on them, and which of them hold a point: a balanced (AVL) tree by
 * start, in which each node knows the furthest end below it. An end of undefined lies behind every string.
 */

export interface Interval {
  readonly from: string;
  readonly to: string | undefined;
}

interface Node<Value> {
  readonly from: string;
  readonly to: string | undefined;
  readonly values: Set<Value>;
  left: Node<Value> | undefined;
  right: Node<Value> | undefined;
  height: number;
  /** The furthest end in this subtree. */
  furthest: string | undefined;
}

export class IntervalTree<Value> {
  #root: Node<Value> | undefined;
  #size = 0;

  /** Values in the tree. */
  get size(): number {
    return this.#size;
  }

  /** Adding the same value on the same interval twice counts once. */
  add(interval: Interval, value: Value): void {
    this.#root = this.#insert(this.#root, interval, value);
  }

  delete(interval: Interval, value: Value): void {
    const node = this.#find(interval);
    if (node === undefined || !node.values.delete(value)) return;
    this.#size--;
    if (node.values.size === 0) this.#root = remove(this.#root, interval);
  }

  clear(): void {
    this.#root = undefined;
    this.#size = 0;
  }

  /** Visits every value whose interval holds `point`. The visitor must not change the tree. */
  visit(point: string, visitor: (value: Value) => void): void {
    visitNode(this.#root, point, visitor);
  }

  #find(interval: Interval): Node<Value> | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const order = compareIntervals(interval, node);
      if (order === 0) return node;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  #insert(node: Node<Value> | undefined, interval: Interval, value: Value): Node<Value> {
    if (node === undefined) {
      this.#size++;
      const {from, to} = interval;
      return {from, to, values: new Set([value]), left: undefined, right: undefined, height: 1, furthest: to};
    }
    const order = compareIntervals(interval, node);
    if (order === 0) {
      if (!node.values.has(value)) this.#size++;
      node.values.add(value);
      return node;
    }
    if (order < 0) node.left = this.#insert(node.left, interval, value);
    else node.right = this.#insert(node.right, interval, value);
    return balance(node);
  }
}

function visitNode<Value>(
  node: Node<Value> | undefined,
  point: string,
  visitor: (value: Value) => void,
): void {
  if (node === undefined || (node.furthest !== undefined && node.furthest <= point)) return;
  visitNode(node.left, point, visitor);
  if (node.from > point) return;
  if (node.to === undefined || node.to > point) for (const value of node.values) visitor(value);
  visitNode(node.right, point, visitor);
}

function remove<Value>(node: Node<Value> | undefined, interval: Interval): Node<Value> | undefined {
  if (node === undefined) return undefined;
  const order = compareIntervals(interval, node);
  if (order < 0) node.left = remove(node.left, interval);
  else if (order > 0) node.right = remove(node.right, interval);
  else {
    const {left, right} = node;
    if (left === undefined) return right;
    if (right === undefined) return left;
    const next = leftmost(right);
    next.right = remove(right, next);
    next.left = left;
    return balance(next);
  }
  return balance(node);
}

function leftmost<Value>(node: Node<Value>): Node<Value> {
  let first = node;
  while (first.left !== undefined) first = first.left;
  return first;
}

function balance<Value>(node: Node<Value>): Node<Value> {
  const lean = heightOf(node.left) - heightOf(node.right);
  if (lean > 1) {
    const left = node.left as Node<Value>;
    if (heightOf(left.left) < heightOf(left.right)) node.left = rotateLeft(left);
    return rotateRight(node);
  }
  if (lean < -1) {
    const right = node.right as Node<Value>;
    if (heightOf(right.right) < heightOf(right.left)) node.right = rotateRight(right);
    return rotateLeft(node);
  }
  return refresh(node);
}

function rotateLeft<Value>(node: Node<Value>): Node<Value> {
  const top = node.right as Node<Value>;
  node.right = top.left;
  top.left = refresh(node);
  return refresh(top);
}

function rotateRight<Value>(node: Node<Value>): Node<Value> {
  const top = node.left as Node<Value>;
  node.left = top.right;
  top.right = refresh(node);
  return refresh(top);
}

function refresh<Value>(node: Node<Value>): Node<Value> {
  const {left, right} = node;
  node.height = 1 + Math.max(heightOf(left), heightOf(right));
  node.furthest = node.to;
  if (left !== undefined) node.furthest = further(node.furthest, left.furthest);
  if (right !== undefined) node.furthest = further(node.furthest, right.furthest);
  return node;
}

function heightOf<Value>(node: Node<Value> | undefined): number {
  return node === undefined ? 0 : node.height;
}

function further(a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || b === undefined ? undefined : a > b ? a : b;
}

function compareIntervals(a: Interval, b: Interval): number {
  if (a.from !== b.from) return a.from < b.from ? -1 : 1;
  if (a.to === b.to) return 0;
  if (a.to === undefined) return 1;
  return b.to === undefined || a.to < b.to ? -1 : 1;
}
