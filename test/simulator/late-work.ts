/**
 * Work of a process that falls behind, as on a machine that is busy with something else: what is committed is not
 * applied, as behind a store that has no room; what was compacted is not deleted. Everything else goes on. It is the
 * machine's: a process that starts anew there is as late.
 */

import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {Replica} from '../../src/engine/server/replica.ts';
import type {MemberClock} from './member-clock.ts';

/** One kind of work: whether it waits, and what has to go on when it does not any more. */
class Gate {
  #isClosed = false;
  #waiting: (() => void)[] = [];

  get isClosed(): boolean {
    return this.#isClosed;
  }

  set isClosed(isClosed: boolean) {
    this.#isClosed = isClosed;
    if (!isClosed) for (const goOn of this.#waiting.splice(0)) goOn();
  }

  whenOpen(action: () => void): void {
    this.#waiting.push(action);
  }
}

export class LateWork {
  readonly #applying = new Gate();
  readonly #sweeping = new Gate();

  set isApplyingLate(isLate: boolean) {
    this.#applying.isClosed = isLate;
  }

  set isSweepingLate(isLate: boolean) {
    this.#sweeping.isClosed = isLate;
  }

  /** Called once, when the parts of a process are put together. */
  hold({store}: OpenedMember, {reclaimer}: Replica, clock: MemberClock): void {
    const [applying, sweeping] = [this.#applying, this.#sweeping];
    const [hasRoom, room] = [store.hasRoom.bind(store), store.room.bind(store)];
    store.hasRoom = () => !applying.isClosed && hasRoom();
    store.room = async () => {
      while (applying.isClosed)
        await new Promise<void>((resolve) => applying.whenOpen(() => clock.enter(resolve)));
      await room();
    };
    const reclaim = reclaimer.reclaim.bind(reclaimer);
    reclaimer.reclaim = () => {
      if (!sweeping.isClosed) reclaim();
      else sweeping.whenOpen(() => clock.enter(() => reclaimer.reclaim()));
    };
  }
}
