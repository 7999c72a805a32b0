import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {Inflights} from '../../../src/engine/raft/inflights.ts';
import {Progress} from '../../../src/engine/raft/progress.ts';

const LAST = 30;

function fresh(): Progress {
  return new Progress({
    id: 2n,
    next: LAST + 1,
    isLearner: false,
    recentActive: true,
    inflightMessagesMax: 3,
    inflightBytesMax: 100,
  });
}

describe('progress', () => {
  it('Ensure that next stays above match whatever happens in whatever order.', () => {
    const happening = fc.tuple(
      fc.constantFrom(
        'send',
        'accept',
        'reject',
        'lost',
        'unreachable',
        'snapshot',
        'failed',
        'arrived',
        'reset',
      ),
      fc.nat(LAST),
      fc.nat(LAST),
    );
    fc.assert(
      fc.property(fc.array(happening, {maxLength: 60}), (happenings) => {
        const progress = fresh();
        for (const [what, a, b] of happenings) {
          if (what === 'send' && !progress.isPaused()) {
            progress.sent(Math.min(LAST, progress.next - 1 + (a % 4)), b, b);
          }
          if (what === 'accept' && progress.accepted(a)) {
            if (progress.state === 'replicate') progress.inflights.freeTo(a);
            else progress.becomeReplicate();
          }
          if (what === 'reject') progress.rejected(a, Math.min(a, b));
          if (what === 'lost' && a < progress.match) progress.lost(a);
          if (what === 'unreachable' && progress.state === 'replicate') progress.becomeProbe();
          if (what === 'snapshot' && a > progress.match) progress.becomeSnapshot(a);
          if (what === 'failed' && progress.state === 'snapshot') progress.snapshotFailed();
          if (what === 'arrived' && progress.state === 'snapshot') progress.becomeProbe();
          if (what === 'reset') progress.reset(a + 1);
          progress.check();
        }
      }),
    );
  });

  it('Ensure that a probing leader finds the last place where the logs agree.', () => {
    fc.assert(
      fc.property(fc.nat(LAST), (agreed) => {
        const progress = fresh();
        let messages = 0;
        while (progress.next - 1 > agreed) {
          const refused = progress.next - 1;
          progress.sent(refused, 0, 0);
          expect(progress.isPaused()).toBe(true);
          expect(progress.rejected(refused, refused - 1)).toBe(true);
          expect(++messages).toBeLessThanOrEqual(LAST);
        }
        expect(progress.next - 1).toBe(agreed);
      }),
    );
  });

  it('Ensure that a window counts messages and bytes as a list would.', () => {
    const add = fc.record({bytes: fc.nat(40), isAdd: fc.boolean(), free: fc.nat(60)});
    fc.assert(
      fc.property(fc.array(add, {maxLength: 80}), fc.integer({min: 1, max: 20}), (steps, messagesMax) => {
        const window = new Inflights({messagesMax, bytesMax: 100});
        let model: {last: number; bytes: number}[] = [];
        let last = 0;
        for (const {bytes, isAdd, free} of steps) {
          const isFull = model.length >= messagesMax || model.reduce((sum, one) => sum + one.bytes, 0) >= 100;
          expect(window.isFull()).toBe(isFull);
          if (isAdd && !isFull) {
            window.add(++last, bytes);
            model.push({last, bytes});
          } else if (!isAdd) {
            window.freeTo(free);
            model = model.filter((one) => one.last > free);
          }
          expect(window.count).toBe(model.length);
          expect(window.bytes).toBe(model.reduce((sum, one) => sum + one.bytes, 0));
        }
      }),
    );
  });
});
