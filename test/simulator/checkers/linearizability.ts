/**
 * Whether a history of overlapping operations could have happened one after the other (Herlihy and Wing): the search
 * of Wing and Gong with Lowe's memory of states that led nowhere. It knows no kvd: a sequential model says what an
 * operation may answer in a state. Histories of independent parts are checked part by part (`partitionHistory`).
 *
 * An operation whose outcome nobody knows has no return: it may take effect at any time after its call, or never.
 */

export interface TimedOperation<Operation> {
  /** On any clock that all operations share. */
  readonly callAt: number;
  /** undefined: never answered; it may have happened, may still happen, or not at all. */
  readonly returnAt: number | undefined;
  readonly operation: Operation;
  /**
   * What is known of its place in the order, on the model's clock: where several operations may be next, the smallest
   * is tried first. Never decides the verdict. undefined: tried after all others.
   */
  readonly hint?: number | undefined;
  /** Of an unanswered operation: those of one kind do the same to every state, so that any of them will do. */
  readonly kind?: string | undefined;
  /** It cannot happen in a state whose clock (`SequentialModel.clockOf`) is beyond this. */
  readonly clockMax?: number | undefined;
}

export interface SequentialModel<State, Operation> {
  readonly initial: State;
  /**
   * The state after the operation with just this answer, the same object where nothing changes; undefined: it cannot
   * answer so in this state.
   */
  step(state: State, operation: Operation): State | undefined;
  /** Something that never goes back, in whatever order operations happen. */
  clockOf(state: State): number;
  /** Equal for equal states. */
  keyOf(state: State): string;
}

export interface LinearizabilityVerdict {
  readonly verdict: 'linearizable' | 'violated' | 'undecided';
  /** Of a violation: places in the history of the operations that could be put in order at most, ... */
  readonly longest: readonly number[];
  /** ... and of those that could be next by time, but by no order of the others. */
  readonly stuck: readonly number[];
}

/** Steps of the model after which the search gives up. */
const STEPS_MAX = 500_000;

interface Node {
  readonly place: number;
  /** By the order of calls. */
  previous: Node | undefined;
  next: Node | undefined;
}

interface Candidate {
  readonly place: number;
  /** undefined: it stands for its kind. */
  readonly node: Node | undefined;
  readonly kind: Kind | undefined;
}

/** Unanswered operations that do the same, by their calls: those that happened come first. */
interface Kind {
  readonly places: readonly number[];
  used: number;
}

interface Choice<State> {
  readonly candidate: Candidate;
  readonly before: State;
  /** What else could have been next, best first. */
  readonly others: Candidate[];
  readonly returnsBelow: number;
  readonly clocksBelow: number;
}

export function checkLinearizable<State, Operation>(
  model: SequentialModel<State, Operation>,
  history: readonly TimedOperation<Operation>[],
  options: {readonly stepsMax?: number} = {},
): LinearizabilityVerdict {
  const stepsMax = options.stepsMax ?? STEPS_MAX;
  const first = new Search(model, history, {stepsMax, fillsGaps: false}).run();
  return first.verdict === 'undecided'
    ? new Search(model, history, {stepsMax, fillsGaps: true}).run()
    : first;
}

class Search<State, Operation> {
  readonly #model: SequentialModel<State, Operation>;
  readonly #history: readonly TimedOperation<Operation>[];
  /** What is not done yet, but for the kinds, in the order of calls. */
  readonly #head: Node = {place: -1, previous: undefined, next: undefined};
  readonly #kinds: readonly Kind[];
  /** Those that were answered: all of them must be done. In the order of returns ... */
  readonly #byReturn: readonly number[];
  /** ... and of the clock by which they must be. */
  readonly #byClock: readonly number[];
  readonly #isDone: Uint8Array;
  /** Where the search has been in vain. */
  readonly #failed = new Set<string>();
  readonly #choices: Choice<State>[] = [];
  #stepsLeft: number;
  /** Where hints leave out a place of the model's clock, somebody unanswered is tried there. */
  readonly #fillsGaps: boolean;
  #state: State;
  /** All of `#byReturn` below this are done ... */
  #returnsDone = 0;
  /** ... and these beyond it. */
  readonly #early = new Set<number>();
  /** All of `#byClock` below this are done. */
  #clocksDone = 0;
  #longest: number[] = [];
  #stuck: number[] = [];

  constructor(
    model: SequentialModel<State, Operation>,
    history: readonly TimedOperation<Operation>[],
    options: {readonly stepsMax: number; readonly fillsGaps: boolean},
  ) {
    this.#model = model;
    this.#history = history;
    this.#stepsLeft = options.stepsMax;
    this.#fillsGaps = options.fillsGaps;
    this.#state = model.initial;
    this.#isDone = new Uint8Array(history.length);
    const byCall = history.map((_, place) => place).sort((a, b) => history[a].callAt - history[b].callAt);
    const kinds = new Map<string, number[]>();
    let last = this.#head;
    for (const place of byCall) {
      const {kind, returnAt} = history[place];
      if (kind !== undefined && returnAt === undefined) {
        const places = kinds.get(kind);
        if (places === undefined) kinds.set(kind, [place]);
        else places.push(place);
        continue;
      }
      const node: Node = {place, previous: last, next: undefined};
      last.next = node;
      last = node;
    }
    this.#kinds = [...kinds.values()].map((places) => ({places, used: 0}));
    const answered = byCall.filter((place) => history[place].returnAt !== undefined);
    this.#byReturn = [...answered].sort((a, b) => (history[a].returnAt ?? 0) - (history[b].returnAt ?? 0));
    this.#byClock = [...answered].sort((a, b) => compare(this.#clockMax(a), this.#clockMax(b)));
  }

  run(): LinearizabilityVerdict {
    let candidates = this.#candidates();
    for (;;) {
      if (this.#returnsDone === this.#byReturn.length)
        return {verdict: 'linearizable', longest: [], stuck: []};
      if (this.#goOn(candidates)) {
        candidates = this.#candidates();
        continue;
      }
      if (this.#choices.length > this.#longest.length || this.#stuck.length === 0) {
        this.#longest = this.#choices.map(({candidate}) => candidate.place);
        this.#stuck = this.#candidates().map(({place}) => place);
      }
      const told = {longest: this.#longest, stuck: this.#stuck};
      if (this.#stepsLeft <= 0) return {verdict: 'undecided', ...told};
      const last = this.#choices.pop();
      if (last === undefined) return {verdict: 'violated', ...told};
      this.#failed.add(this.#key());
      candidates = this.#takeBack(last);
    }
  }

  /** Puts the first candidate that fits next. @returns false when none does */
  #goOn(candidates: Candidate[]): boolean {
    for (let at = 0; at < candidates.length; at++) {
      if (--this.#stepsLeft <= 0) return false;
      const candidate = candidates[at];
      const timed = this.#history[candidate.place];
      const after = this.#model.step(this.#state, timed.operation);
      // What nobody was answered, and changes nothing, need not happen.
      if (after === undefined || (after === this.#state && timed.returnAt === undefined)) continue;
      const choice = {
        candidate,
        before: this.#state,
        // What changes nothing may as well be first: if an order begins otherwise, it can be moved to the front of it.
        others: after === this.#state ? [] : candidates.slice(at + 1),
        returnsBelow: this.#returnsDone,
        clocksBelow: this.#clocksDone,
      };
      this.#do(candidate, after);
      if (this.#isTooLate() || (this.#failed.size > 0 && this.#failed.has(this.#key()))) {
        this.#takeBack(choice);
        continue;
      }
      this.#choices.push(choice);
      return true;
    }
    return false;
  }

  #do({place, node, kind}: Candidate, after: State): void {
    this.#isDone[place] = 1;
    this.#state = after;
    if (kind !== undefined) kind.used++;
    if (node === undefined) return;
    this.#early.add(place);
    if (node.previous !== undefined) node.previous.next = node.next;
    if (node.next !== undefined) node.next.previous = node.previous;
    const byReturn = this.#byReturn;
    for (; this.#returnsDone < byReturn.length; this.#returnsDone++) {
      const first = byReturn[this.#returnsDone];
      if (this.#isDone[first] === 0) break;
      this.#early.delete(first);
    }
    const byClock = this.#byClock;
    while (this.#clocksDone < byClock.length && this.#isDone[byClock[this.#clocksDone]] === 1)
      this.#clocksDone++;
  }

  #takeBack({candidate, before, others, returnsBelow, clocksBelow}: Choice<State>): Candidate[] {
    const {place, node, kind} = candidate;
    for (let at = returnsBelow; at < this.#returnsDone; at++) this.#early.add(this.#byReturn[at]);
    this.#returnsDone = returnsBelow;
    this.#clocksDone = clocksBelow;
    this.#early.delete(place);
    this.#isDone[place] = 0;
    this.#state = before;
    if (kind !== undefined) kind.used--;
    if (node?.previous !== undefined) node.previous.next = node;
    if (node?.next !== undefined) node.next.previous = node;
    return others;
  }

  /** Whether something that must happen no longer can. */
  #isTooLate(): boolean {
    const next = this.#byClock.at(this.#clocksDone);
    return (
      this.#clocksDone < this.#byClock.length &&
      next !== undefined &&
      this.#clockMax(next) < this.#model.clockOf(this.#state)
    );
  }

  #clockMax(place: number): number {
    return this.#history[place].clockMax ?? Number.POSITIVE_INFINITY;
  }

  /** What may be next: all that were called before the first return of those that are not done. Best first. */
  #candidates(): Candidate[] {
    const history = this.#history;
    if (this.#returnsDone === this.#byReturn.length) return [];
    const untilAt = history[this.#byReturn[this.#returnsDone]].returnAt ?? Number.POSITIVE_INFINITY;
    const found: Candidate[] = [];
    for (let node = this.#head.next; node !== undefined; node = node.next) {
      if (history[node.place].callAt > untilAt) break;
      found.push({place: node.place, node, kind: undefined});
    }
    const rank = ({place}: Candidate) => history[place].hint ?? Number.POSITIVE_INFINITY;
    if (found.length > 1) found.sort((a, b) => compare(rank(a), rank(b)));
    const unanswered: Candidate[] = [];
    for (const kind of this.#kinds) {
      const place = kind.places.at(kind.used);
      if (kind.used === kind.places.length || place === undefined) continue;
      if (history[place].callAt <= untilAt) unanswered.push({place, node: undefined, kind});
    }
    if (unanswered.length === 0) return found;
    const isGap = this.#fillsGaps && rank(found[0]) > this.#model.clockOf(this.#state) + 1;
    return isGap ? [...unanswered, ...found] : [...found, ...unanswered];
  }

  /** What is done, and the state: exact, and short, since few are done ahead of the order of returns. */
  #key(): string {
    const early = [...this.#early].sort((a, b) => a - b).join();
    const used = this.#kinds.map((kind) => kind.used).join();
    return `${this.#returnsDone} ${early} ${used} ${this.#model.keyOf(this.#state)}`;
  }
}

const compare = (a: number, b: number) => (a < b ? -1 : a > b ? 1 : 0);

/** Parts of a history that share no key, each in the order of the whole. */
export function partitionHistory<Operation>(
  history: readonly TimedOperation<Operation>[],
  keysOf: (operation: Operation) => readonly string[],
): TimedOperation<Operation>[][] {
  const parents = new Map<string, string>();
  const rootOf = (key: string): string => {
    let root = key;
    for (let up = parents.get(root) ?? root; up !== root; up = parents.get(root) ?? root) root = up;
    parents.set(key, root);
    return root;
  };
  for (const {operation} of history) {
    const [first, ...others] = keysOf(operation);
    if (first === undefined) continue;
    for (const other of others) parents.set(rootOf(other), rootOf(first));
  }
  const parts = new Map<string, TimedOperation<Operation>[]>();
  for (const timed of history) {
    const [first] = keysOf(timed.operation);
    if (first === undefined) continue;
    const root = rootOf(first);
    const part = parts.get(root);
    if (part === undefined) parts.set(root, [timed]);
    else part.push(timed);
  }
  return [...parts.values()];
}
