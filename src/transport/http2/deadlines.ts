/**
 * The deadlines of all calls on one coarse wheel: adding and removing cost a few pointer moves, where a timer per call
 * costs a microsecond. Nothing fires early; it may fire one slot late. The timer runs only while there is a deadline.
 */

const SLOT_MS = 10;
const SLOTS = 512;
/** Longer waits than this go round the wheel several times. */
const SLOT_MASK = SLOTS - 1;

export class Deadline {
  /** On the clock of `performance.now()`, milliseconds. */
  readonly atMs: number;
  readonly expire: () => void;
  previous: Deadline | undefined;
  next: Deadline | undefined;
  /** -1: not on the wheel. */
  slot = -1;

  constructor(atMs: number, expire: () => void) {
    this.atMs = atMs;
    this.expire = expire;
  }
}

export class Deadlines {
  readonly #slots: (Deadline | undefined)[] = new Array(SLOTS).fill(undefined);
  #count = 0;
  /** The first slot not looked at yet, counted from the clock's zero. */
  #nextTick = 0;
  #timer: NodeJS.Timeout | undefined;

  add(delayMs: number, expire: () => void): Deadline {
    const now = performance.now();
    const deadline = new Deadline(now + Math.max(0, delayMs), expire);
    if (this.#count++ === 0) this.#start(now);
    const slot = Math.ceil(deadline.atMs / SLOT_MS) & SLOT_MASK;
    const first = this.#slots[slot];
    deadline.slot = slot;
    deadline.next = first;
    if (first !== undefined) first.previous = deadline;
    this.#slots[slot] = deadline;
    return deadline;
  }

  /** Removing twice, or after it has expired, is fine. */
  remove(deadline: Deadline): void {
    if (deadline.slot < 0) return;
    const {previous, next} = deadline;
    if (previous === undefined) this.#slots[deadline.slot] = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    deadline.previous = undefined;
    deadline.next = undefined;
    deadline.slot = -1;
    this.#count--;
  }

  #start(now: number): void {
    if (this.#timer !== undefined) return;
    this.#nextTick = Math.floor(now / SLOT_MS);
    this.#timer = setInterval(() => this.#turn(), SLOT_MS);
    this.#timer.unref();
  }

  #turn(): void {
    if (this.#count === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = performance.now();
    const last = Math.floor(now / SLOT_MS);
    // After a long stall one round sees every slot.
    const first = Math.max(this.#nextTick, last - SLOTS + 1);
    this.#nextTick = last + 1;
    for (let tick = first; tick <= last; tick++) this.#expire(tick & SLOT_MASK, now);
  }

  #expire(slot: number, now: number): void {
    let due: Deadline[] | undefined;
    for (let deadline = this.#slots[slot]; deadline !== undefined; deadline = deadline.next) {
      if (deadline.atMs > now) continue;
      due ??= [];
      due.push(deadline);
    }
    for (const deadline of due ?? []) {
      // Expiring one may have removed another.
      if (deadline.slot < 0) continue;
      this.remove(deadline);
      deadline.expire();
    }
  }
}
