/**
 * Virtual time of a whole cluster: one queue of events, run one after the other. Between two events everything that
 * their promises set off runs to its end, so the order of events alone decides what happens.
 */

export interface QueuedEvent {
  readonly atMs: number;
  readonly order: number;
  action: (() => void) | undefined;
}

export class EventQueue {
  #nowMs = 0;
  #order = 0;
  #heap: QueuedEvent[] = [];
  /** Events that were run: the step at which something went wrong. */
  steps = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Events of the same time run in the order they were put. @returns a function that calls it off */
  after(delayMs: number, action: () => void): () => void {
    const event: QueuedEvent = {atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, action};
    this.#push(event);
    return () => {
      event.action = undefined;
    };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Runs the next event and all that needs no time after it. @returns false when there is none */
  async step(): Promise<boolean> {
    if (this.#heap.length === 0) await settle();
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      if (event.action === undefined) continue;
      this.#nowMs = event.atMs;
      this.steps++;
      event.action();
      await settle();
      return true;
    }
    return false;
  }

  #push(event: QueuedEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isEarlier(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): QueuedEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isEarlier(heap[child + 1], heap[child])) child++;
      if (!isEarlier(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/** Lets every promise that can go on without an event go on. Nothing simulated waits for real I/O. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isEarlier(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
