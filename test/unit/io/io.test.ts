/** The plain ports: disk errors, clock, random, digest. What all disks promise stands in test/contract. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {NodeClock} from '../../../src/engine/io/clock.ts';
import {createSha256} from '../../../src/engine/io/digest.ts';
import {NodeDisk} from '../../../src/engine/io/disk.ts';
import {SystemRandom} from '../../../src/engine/io/random.ts';

describe('the disk of the machine', () => {
  it.skipIf(process.platform !== 'linux')(
    'Ensure that a full disk has its own code, by either way of writing.',
    async () => {
      const file = await new NodeDisk('/dev').open('full', {create: false});
      for (const bytes of [10, 1_000_000]) {
        const write = async () => await file.write(0, [Buffer.alloc(bytes)]);
        const error = await write().catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(EngineError);
        expect((error as EngineError).failure).toEqual({code: 'diskFull', path: '/dev/full'});
      }
      await file.close();
    },
  );

  it.skipIf(process.platform !== 'linux')(
    'Ensure that a folder that cannot be made is an error, and not tried for ever.',
    async () => {
      const error = await new NodeDisk('/proc/none/kvd').makeFolder('.').catch((caught: unknown) => caught);
      expect(error).toMatchObject({failure: {code: 'diskError', path: '/proc/none/kvd'}});
    },
  );

  it('Ensure that no path leads out of the root.', () => {
    const disk = new NodeDisk('/tmp/root');
    expect(disk.userPath('a/b')).toBe('/tmp/root/a/b');
    expect(disk.userPath('.')).toBe('/tmp/root');
    for (const path of ['../other', 'a/../../b', '/etc/passwd'])
      expect(() => disk.userPath(path)).toThrow('leaves the root');
  });
});

describe('the clock', () => {
  it('Ensure that time goes forward, and what is called off does not come.', async () => {
    const clock = new NodeClock();
    const startMs = clock.monotonicMs();
    let calledOff = 0;
    const callOff = clock.after(1, () => {
      calledOff += 1;
    });
    callOff();
    await new Promise<void>((resolve) => clock.after(20, resolve));
    expect(clock.monotonicMs() - startMs).toBeGreaterThan(18);
    expect(calledOff).toBe(0);
    expect(clock.wallMs()).toBeGreaterThan(1.7e12);
    await clock.yield();
  });

  it('Ensure that a delay of centuries neither comes at once nor warns, and can be called off.', async () => {
    const clock = new NodeClock();
    let fired = 0;
    const callOff = clock.after(9e12, () => {
      fired += 1;
    });
    await new Promise<void>((resolve) => clock.after(10, resolve));
    expect(fired).toBe(0);
    callOff();
  });
});

describe('random numbers', () => {
  it('Ensure that they are in range, all of them, and about equally often.', () => {
    const random = new SystemRandom();
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 6000; i++) counts[random.below(6)] += 1;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(250);
    expect(random.below(1)).toBe(0);
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => random.below(bound)).toThrow('out of range');
  });

  it('Ensure that 64-bit numbers use all bits and do not repeat.', () => {
    const random = new SystemRandom();
    const drawn = Array.from({length: 2000}, () => random.uint64());
    expect(new Set(drawn).size).toBe(2000);
    expect(drawn.reduce((all, value) => all | value)).toBe(2n ** 64n - 1n);
  });
});

describe('the digest', () => {
  it('Ensure that it is SHA-256, in parts as in one.', () => {
    const digest = createSha256();
    digest.update(Buffer.from('a'));
    digest.update(Buffer.from('bc'));
    expect(Buffer.from(digest.finish()).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });
});
