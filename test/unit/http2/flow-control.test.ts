/** Receive windows: what is given back when, and how far they open. */

import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {ReceiveWindow, WindowTuner} from '../../../src/transport/http2/flow-control.ts';
import {RateLimit} from '../../../src/transport/http2/rate-limit.ts';

const MIB = 2 ** 20;

describe('receive window', () => {
  it('Ensure that half of it is given back at a time, and never more than was taken.', () => {
    const window = new ReceiveWindow(1000);
    expect(window.take(400)).toBe(true);
    expect(window.credit(400, 1000)).toBe(0);
    expect(window.take(200)).toBe(true);
    expect(window.credit(200, 1000)).toBe(600);
    expect(window.available).toBe(1000);
    expect(window.take(1001)).toBe(false);
  });

  it('Ensure that it opens to its target with the next announcement, and never shuts.', () => {
    const window = new ReceiveWindow(1000);
    window.take(600);
    expect(window.credit(600, 5000)).toBe(4600);
    expect(window.available).toBe(5000);
    window.take(3000);
    expect(window.credit(3000, 1000)).toBe(3000);
    expect(window.available).toBe(5000);
  });

  it('Ensure that what a peer may send always fits what was announced.', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(500), fc.nat(500)), {maxLength: 50}), (steps) => {
        const window = new ReceiveWindow(1000);
        let announced = 1000;
        let sent = 0;
        let uncredited = 0;
        for (const [take, credit] of steps) {
          const bytes = Math.min(take, announced - sent);
          expect(window.take(bytes)).toBe(true);
          sent += bytes;
          uncredited += bytes;
          const given = Math.min(credit, uncredited);
          uncredited -= given;
          announced += window.credit(given, 1000);
          expect(window.available).toBe(announced - sent);
          expect(window.available).toBeLessThanOrEqual(1000);
        }
      }),
    );
  });
});

describe('window tuner', () => {
  it('Ensure that a round trip that fills the window doubles it, up to the bound, and another does not.', () => {
    const tuner = new WindowTuner();
    expect(tuner.streamTarget).toBe(1 * MIB);
    tuner.end();
    expect(tuner.begin()).toBe(true);
    expect(tuner.begin()).toBe(false);
    tuner.received(0.5 * MIB);
    tuner.end();
    expect(tuner.streamTarget).toBe(1 * MIB);
    const grown: number[] = [];
    for (let i = 0; i < 6; i++) {
      if (!tuner.begin()) break;
      tuner.received(16 * MIB);
      tuner.end();
      grown.push(tuner.streamTarget / MIB);
    }
    expect(grown).toEqual([2, 4, 8, 16]);
    expect(tuner.connectionTarget).toBe(16 * MIB);
    expect(tuner.begin()).toBe(false);
  });
});

describe('rate limit', () => {
  it('Ensure that a burst is borne and then no more than the rate.', () => {
    const limit = new RateLimit(5, 0.001);
    expect(Array.from({length: 7}, () => limit.take())).toEqual([true, true, true, true, true, false, false]);
  });
});
