/** gRPC's message framing, text forms and the other small parts. */

import {randomBytes} from 'node:crypto';
import {gunzipSync, gzipSync} from 'node:zlib';
import fc from 'fast-check';
import {afterEach, beforeEach, describe, expect, it, vi} from 'vitest';
import {Deadlines} from '../../../src/transport/http2/deadlines.ts';
import {MessageReader, writeMessagePrefix} from '../../../src/transport/http2/grpc-message.ts';
import {GrpcError, GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {
  decodeBinary,
  decodeMessage,
  encodeBinary,
  encodeMessage,
  formatTimeout,
  parseStatus,
  parseTimeout,
} from '../../../src/transport/http2/grpc-text.ts';
import {packMessage, unpackMessage} from '../../../src/transport/http2/gzip.ts';
import {HeaderField} from '../../../src/transport/http2/hpack/header-field.ts';
import {MessageIntake} from '../../../src/transport/http2/message-intake.ts';
import {MessageQueue} from '../../../src/transport/http2/message-queue.ts';
import {PingPolicy} from '../../../src/transport/http2/ping-policy.ts';
import {RememberedResets} from '../../../src/transport/http2/remembered-resets.ts';
import {RequestHead} from '../../../src/transport/http2/request-head.ts';
import {parseTarget} from '../../../src/transport/http2/target.ts';

const MIB = 2 ** 20;
const plenty = {hold: () => undefined, isOverBudget: () => false};

function framed(message: Uint8Array, isCompressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  writeMessagePrefix(prefix, 0, message.length, isCompressed);
  return Buffer.concat([prefix, message]);
}

function readAll(reader: MessageReader, bytes: Buffer, cuts: readonly number[]): string[] {
  const messages: string[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A fresh buffer each time: nothing may refer to an old one.
    const chunk = Buffer.from(bytes.subarray(from, cut));
    reader.push(chunk, 0, chunk.length, (message) => messages.push(Buffer.from(message).toString('hex')) > 0);
    from = cut;
  }
  return messages;
}

describe('message reader', () => {
  it('Ensure that messages of any size survive any cuts.', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({maxLength: 100}), {maxLength: 8}),
        fc.array(fc.nat(900)),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map((message) => framed(message)));
          const inside = [...new Set(cuts)].filter((cut) => cut < bytes.length).sort((a, b) => a - b);
          const reader = new MessageReader(1000, 'identity');
          expect(readAll(reader, bytes, inside)).toEqual(
            messages.map((message) => Buffer.from(message).toString('hex')),
          );
          expect(reader.isAtBoundary).toBe(true);
          expect(reader.heldBytes).toBe(0);
        },
      ),
      {numRuns: 500},
    );
  });

  it('Ensure that a message in one piece is handed over without a copy.', () => {
    const chunk = framed(Buffer.from('here'));
    const messages: Uint8Array[] = [];
    new MessageReader(100, 'identity').push(chunk, 0, chunk.length, (message) => messages.push(message) > 0);
    expect(messages[0].buffer).toBe(chunk.buffer);
  });

  it('Ensure that an announced length costs nothing until its bytes come.', () => {
    const reader = new MessageReader(2 ** 31, 'identity');
    const prefix = Buffer.alloc(6);
    prefix.writeUInt32BE(1_000_000_000, 1);
    reader.push(prefix, 0, 6, () => true);
    expect(reader.heldBytes).toBeLessThanOrEqual(64 * 1024);
    const chunk = Buffer.alloc(100_000);
    for (let i = 0; i < 10; i++) reader.push(chunk, 0, chunk.length, () => true);
    expect(reader.heldBytes).toBeLessThan(3_000_000);
  });

  it('Ensure that a message beyond the limit is refused before it comes.', () => {
    const prefix = framed(Buffer.alloc(0));
    prefix.writeUInt32BE(1001, 1);
    const push = () => new MessageReader(1000, 'identity').push(prefix, 0, 5, () => true);
    expect(push).toThrow('grpc: received message larger than max (1001 vs. 1000)');
  });

  it('Ensure that who takes no more is given no more, and goes on where it stopped.', () => {
    const chunk = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))]);
    const reader = new MessageReader(100, 'identity');
    const messages: string[] = [];
    const once = (message: Uint8Array): boolean => {
      messages.push(Buffer.from(message).toString());
      return false;
    };
    expect(reader.push(chunk, 0, chunk.length, once)).toBe(8);
    expect(messages).toEqual(['one']);
    expect(reader.push(chunk, 8, chunk.length, once)).toBe(16);
    expect(messages).toEqual(['one', 'two']);
  });
});

describe('gzip', () => {
  /** Messages of a request whose pieces come at once; the last waits for what is unpacked beside the loop. */
  function intake(bytesMax: number, encoding: 'identity' | 'gzip' = 'gzip') {
    const messages: number[] = [];
    let done: (outcome: 'resumed' | Error) => void = () => undefined;
    const settled = new Promise<'resumed' | Error>((resolve) => {
      done = resolve;
    });
    const one = new MessageIntake({
      budget: plenty,
      bytesMax,
      encoding,
      deliver: (message) => messages.push(message.length),
      resumed: () => done('resumed'),
      failed: (error) => done(error as Error),
    });
    const push = (...parts: Buffer[]): void => {
      const bytes = Buffer.concat(parts);
      one.push(bytes, 0, bytes.length);
    };
    return {one, push, messages, settled};
  }

  it('Ensure that small messages are taken apart at once, bounded, and refused when nobody announced them.', () => {
    const text = Buffer.from('word '.repeat(1000));
    const {push, messages} = intake(10_000);
    push(framed(gzipSync(text), true), framed(text));
    expect(messages).toEqual([5000, 5000]);
    const broken = gzipSync(text);
    broken[20] ^= 0xff;
    expect(() => intake(10_000).push(framed(broken, true))).toThrow(/decompress/);
    expect(() => intake(10_000, 'identity').push(framed(text, true))).toThrow(/compressed flag/);
    expect(() => intake(10_000).push(Buffer.from([2, 0, 0, 0, 0]))).toThrow(GrpcError);
    expect(() => unpackMessage(gzipSync(Buffer.alloc(1_000_000)), 10_000)).toThrow(
      /after decompression larger than max/,
    );
  });

  it('Ensure that a large one is unpacked beside the loop, and what comes behind it keeps its place.', async () => {
    const {one, push, messages, settled} = intake(2_000_000);
    const large = framed(gzipSync(Buffer.alloc(1_000_000)), true);
    push(framed(Buffer.alloc(7)), large, framed(Buffer.alloc(9)));
    expect([one.isWaiting, messages]).toEqual([true, [7]]);
    push(framed(Buffer.alloc(11)));
    expect(messages).toEqual([7]);
    // The large one counts where its job does.
    expect(one.heldBytes).toBe(5 + 9 + 5 + 11);
    expect(await settled).toBe('resumed');
    expect([one.isWaiting, messages, one.heldBytes]).toEqual([false, [7, 1_000_000, 9, 11], 0]);
  });

  it('Ensure that what is no gzip fails, however large it says it is.', async () => {
    const {push, settled} = intake(10_000);
    push(framed(Buffer.from('word '.repeat(1000)), true));
    expect(await settled).toMatchObject({
      status: GrpcStatus.internal,
      message: expect.stringMatching(/decompress/),
    });
  });

  it('Ensure that bombs fail bounded, those that lie about their size too.', async () => {
    const bomb = gzipSync(Buffer.alloc(1_000_000));
    for (const claimed of [1_000_000, 10]) {
      bomb.writeUInt32LE(claimed, bomb.length - 4);
      const {push, messages, settled} = intake(100_000);
      push(framed(bomb, true));
      expect(await settled).toMatchObject({status: GrpcStatus.resourceExhausted});
      expect(messages).toEqual([]);
    }
  });

  it('Ensure that a small message is compressed between two slices of a large one, and all of it counts meanwhile.', async () => {
    let held = 0;
    let most = 0;
    const budget = {
      hold: (bytes: number) => {
        held += bytes;
        most = Math.max(most, held);
      },
      isOverBudget: () => false,
    };
    const large = randomBytes(5 * MIB + 1);
    const done: string[] = [];
    const pack = (name: string, message: Buffer) =>
      Promise.resolve(packMessage(message, budget)).then(({bytes, isCompressed}) => {
        done.push(name);
        expect(isCompressed).toBe(true);
        expect(gunzipSync(bytes).equals(message)).toBe(true);
      });
    await Promise.all([pack('large', large), pack('small', randomBytes(100_000))]);
    expect(done).toEqual(['small', 'large']);
    // What is packed of it already, too.
    expect(most).toBeGreaterThan(9 * MIB);
    expect(held).toBe(0);
  });

  it('Ensure that only what pays is compressed, and much of it beside the loop.', async () => {
    expect(packMessage(Buffer.alloc(100), plenty)).toMatchObject({isCompressed: false});
    expect(packMessage(Buffer.alloc(10_000), plenty)).toMatchObject({isCompressed: true});
    const packed = packMessage(Buffer.alloc(1_000_000), plenty);
    expect(packed).toBeInstanceOf(Promise);
    expect(unpackMessage((await packed).bytes, 1_000_000).length).toBe(1_000_000);
  });
});

describe('text forms', () => {
  it('Ensure that timeouts are read in all units.', () => {
    const texts = ['1H', '2M', '3S', '4m', '5u', '6n', '4997295u', '0S', '99999999H'];
    expect(texts.map(parseTimeout)).toEqual([
      3_600_000,
      120_000,
      3000,
      4,
      0.005,
      0.000006,
      4997.295,
      0,
      99999999 * 3_600_000,
    ]);
    for (const bad of ['', '1', 'S', '1s', '123456789S', '-1S', '1.5S', '1S '])
      expect(parseTimeout(bad)).toBeUndefined();
  });

  it('Ensure that timeouts are written in eight digits, never shorter than meant.', () => {
    for (const ms of [0.5, 1, 999.999, 5000, 99_998, 100_000, 3_600_000, 1e9, 1e12]) {
      const text = formatTimeout(ms);
      expect(text).toMatch(/^\d{1,8}[numSMH]$/);
      expect(parseTimeout(text)!).toBeGreaterThanOrEqual(Math.min(ms, 99_999_999_000));
    }
    expect(formatTimeout(-1)).toBe('1n');
  });

  it('Ensure that messages of any characters survive percent-encoding in ASCII.', () => {
    fc.assert(
      fc.property(fc.string({unit: 'grapheme'}), (text) => {
        expect(encodeMessage(text)).toMatch(/^[ -~]*$/);
        expect(decodeMessage(encodeMessage(text))).toBe(text);
      }),
    );
    expect(encodeMessage('etcdserver: 5 % of ü\n')).toBe('etcdserver: 5 %25 of %C3%BC%0A');
    expect(decodeMessage('50%')).toBe('50%');
    expect(decodeMessage('%zz%41')).toBe('%zzA');
  });

  it('Ensure that binary metadata survives, padded or not.', () => {
    const bytes = Buffer.from([0, 255, 128, 10]).toString('latin1');
    expect(decodeBinary(encodeBinary(bytes))).toBe(bytes);
    expect(decodeBinary(Buffer.from(bytes, 'latin1').toString('base64'))).toBe(bytes);
  });

  it('Ensure that the first of several binary values is told, in one field or in many.', () => {
    const told = (...values: string[]): string | undefined =>
      new RequestHead(values.map((value) => new HeaderField('x-bin', value))).metadata('x-bin');
    expect(told('AAE,/w', 'eA')).toBe('\0\x01');
    expect(told('AAE=', '/w==')).toBe('\0\x01');
    expect(told()).toBeUndefined();
  });

  it('Ensure that a status that is none is Unknown.', () => {
    expect(['0', '16', '17', 'x', '', '-1'].map(parseStatus)).toEqual([0, 16, 2, 2, 2, 2]);
  });

  it('Ensure that targets are read in all their forms.', () => {
    expect(parseTarget('localhost:2379')).toMatchObject({
      scheme: 'http',
      host: 'localhost',
      port: 2379,
      authority: 'localhost:2379',
    });
    expect(parseTarget('http://10.0.0.1:1')).toMatchObject({scheme: 'http', host: '10.0.0.1', port: 1});
    expect(parseTarget('https://[::1]:2380/')).toMatchObject({
      scheme: 'https',
      host: '::1',
      port: 2380,
      authority: '[::1]:2380',
    });
    expect(parseTarget(':2379')).toMatchObject({host: 'localhost', port: 2379});
    expect(parseTarget('example')).toMatchObject({host: 'example', port: 2379});
    expect(parseTarget('unix:/run/x.sock')).toMatchObject({path: '/run/x.sock', scheme: 'http'});
    expect(parseTarget('unix:///run/x.sock')).toMatchObject({path: '/run/x.sock'});
    expect(parseTarget('unixs:rel:2379')).toMatchObject({path: 'rel:2379', scheme: 'https'});
    for (const bad of ['a:b:c', 'host:99999', 'host:'])
      expect(() => parseTarget(bad)).toThrow(/not an address/);
  });
});

describe('message queue', () => {
  it('Ensure that what came before the end is delivered first, then the error.', async () => {
    const taken: number[] = [];
    const queue = new MessageQueue<string>({
      decode: (message) => Buffer.from(message).toString(),
      taken: (bytes) => taken.push(bytes),
      left: () => undefined,
    });
    const first = queue.next();
    expect(queue.push(Buffer.from('one'))).toBe(true);
    expect(queue.push(Buffer.from('second'))).toBe(false);
    expect(queue.bytes).toBe(6);
    queue.end(new GrpcError(GrpcStatus.cancelled, 'gone'));
    queue.push(Buffer.from('third'));
    expect(await first).toEqual({value: 'one', done: false});
    expect(await queue.next()).toEqual({value: 'second', done: false});
    await expect(queue.next()).rejects.toThrow('gone');
    expect(taken).toEqual([6]);
    expect(queue.bytes).toBe(0);
  });

  it('Ensure that a reader who leaves is heard of, once, and frees what waited.', async () => {
    const left = vi.fn();
    const taken = vi.fn();
    const queue = new MessageQueue<Uint8Array>({decode: (message) => message, taken, left});
    queue.push(Buffer.alloc(5));
    queue.push(Buffer.alloc(6));
    for await (const one of queue) {
      expect(one.length).toBe(5);
      break;
    }
    const failing = new MessageQueue<never>({
      decode: () => {
        throw new Error('unreadable');
      },
      taken,
      left,
    });
    const waiting = failing.next();
    failing.push(Buffer.alloc(1));
    await expect(waiting).rejects.toThrow('unreadable');
    failing.push(Buffer.alloc(1));
    await expect(failing.next()).rejects.toThrow('unreadable');
    taken.mockImplementation(() => undefined);
    await queue.return();
    expect(left).toHaveBeenCalledTimes(1);
    expect(taken.mock.calls).toEqual([[5], [6], [1]]);
  });
});

describe('deadlines', () => {
  beforeEach(() => {
    vi.useFakeTimers({toFake: ['setInterval', 'clearInterval', 'performance']});
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('Ensure that none expires early, each once and soon, near and far, unless removed.', () => {
    const deadlines = new Deadlines();
    const expired = new Map<number, number>();
    const start = performance.now();
    for (const delay of [0, 1, 9, 10, 11, 500, 5119, 5120, 5121, 20_000]) {
      deadlines.add(delay, () => expired.set(delay, performance.now() - start));
    }
    const removed = deadlines.add(300, () => expect.unreachable());
    vi.advanceTimersByTime(200);
    deadlines.remove(removed);
    deadlines.remove(removed);
    vi.advanceTimersByTime(30_000);
    expect(expired.size).toBe(10);
    for (const [delay, at] of expired) {
      expect(at).toBeGreaterThanOrEqual(delay);
      expect(at).toBeLessThanOrEqual(delay + 25);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it('Ensure that one deadline may remove others and add new ones while it expires.', () => {
    const deadlines = new Deadlines();
    let count = 0;
    const second = deadlines.add(50, () => {
      count += 100;
    });
    deadlines.add(50, () => {
      deadlines.remove(second);
      deadlines.add(5, () => {
        count++;
      });
    });
    vi.advanceTimersByTime(200);
    expect(count === 1 || count === 101).toBe(true);
  });
});

describe('ping policy', () => {
  beforeEach(() => {
    vi.useFakeTimers({toFake: ['performance']});
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('Ensure that PINGs as seldom as allowed are borne for ever, and more are not.', () => {
    const policy = new PingPolicy(5_000);
    for (let i = 0; i < 100; i++) {
      expect(policy.isTooMany(true)).toBe(false);
      vi.advanceTimersByTime(5_000);
    }
    expect(Array.from({length: 4}, () => policy.isTooMany(true))).toEqual([false, false, false, true]);
  });

  it('Ensure that answers in between wipe strikes out.', () => {
    const policy = new PingPolicy(5_000);
    for (let i = 0; i < 100; i++) {
      expect(policy.isTooMany(true)).toBe(false);
      if (i % 2 === 0) policy.answered();
    }
  });

  it('Ensure that without a call PINGs are borne every two hours only.', () => {
    const policy = new PingPolicy(5_000);
    expect(policy.isTooMany(false)).toBe(false);
    for (let i = 0; i < 2; i++) {
      vi.advanceTimersByTime(60_000);
      expect(policy.isTooMany(false)).toBe(false);
    }
    vi.advanceTimersByTime(60_000);
    expect(policy.isTooMany(false)).toBe(true);
  });
});

describe('remembered resets', () => {
  it('Ensure that the newest are known exactly and the oldest are forgiven.', () => {
    const resets = new RememberedResets();
    for (let id = 1; id < 40_001; id += 2) resets.add(id);
    expect(resets.mayStillBeUsed(39_999)).toBe(true);
    expect(resets.mayStillBeUsed(40_001)).toBe(false);
    expect(resets.mayStillBeUsed(1)).toBe(true);
    expect(resets.mayStillBeUsed(2)).toBe(true);
  });
});
