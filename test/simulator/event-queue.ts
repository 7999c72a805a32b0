/**
 * Virtual time of a whole cluster: one queue of events, run one after the other. Between two events everything that
 * their promises set off runs to its end, so the order of events alone decides what happens.
 *
 * Each event is a turn of its own for Node: promises, and the report of rejections nobody handles, come before the
 * next one. Turns are asked for many at a time, because a round of the real event loop costs more than an event.
 */

export interface QueuedEvent {
  readonly atMs: number;
  readonly order: number;
  action: (() => void) | undefined;
}

/** Of Node's event loop: enough to make a round's cost small beside that of its events. */
const TURNS_AT_ONCE = 256;

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
    const before = this.steps;
    await this.run(() => this.steps > before);
    return this.steps > before;
  }

  /**
   * Runs events until `isDone` says so after one of them, or until none is left. Rejects with what an event or
   * `isDone` throws. One caller at a time.
   */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      let hasRun = false;
      let asked = 0;
      let wanted = 1;
      const ask = (): void => {
        wanted = Math.min(2 * wanted, TURNS_AT_ONCE);
        for (asked = 0; asked < wanted; asked++) setImmediate(turn);
      };
      const turn = (): void => {
        if (isOver) return;
        try {
          // What the last event set off has come to its end.
          isOver = hasRun && isDone();
          hasRun = !isOver && this.#runNext();
          if (!hasRun) {
            isOver = true;
            resolve();
          } else if (--asked === 0) ask();
        } catch (error) {
          isOver = true;
          reject(error);
        }
      };
      if (this.#heap.length > 0) hasRun = this.#runNext();
      ask();
    });
  }

  #runNext(): boolean {
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      if (event.action === undefined) continue;
      this.#nowMs = event.atMs;
      this.steps++;
      event.action();
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
