/** Frames cut from bytes that the network has split at any place. */

import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {FrameReader, type FrameSink} from '../../../src/transport/http2/frame-reader.ts';

/** Notes what it is given; pieces of DATA are joined, since where they are cut is the network's business. */
class Notes implements FrameSink {
  readonly events: string[] = [];
  #data: Buffer[] = [];

  dataBegin(streamId: number, length: number): void {
    this.events.push(`data ${streamId} ${length}`);
    this.#data = [];
  }

  dataPiece(chunk: Buffer, start: number, end: number): void {
    expect(end).toBeGreaterThan(start);
    this.#data.push(Buffer.from(chunk.subarray(start, end)));
  }

  dataEnd(endStream: boolean): void {
    this.events.push(`content ${Buffer.concat(this.#data).toString('hex')} ${endStream}`);
  }

  frame(type: number, flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    this.events.push(`frame ${type} ${flags} ${streamId} ${chunk.toString('hex', start, end)}`);
  }
}

function bytesOf(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

function padded(content: Uint8Array, padding: number): Buffer {
  return Buffer.concat([Buffer.from([padding]), content, Buffer.alloc(padding)]);
}

const FRAMES = [
  bytesOf(4, 0, 0, Buffer.alloc(12, 1)),
  bytesOf(1, 4, 1, Buffer.from('header')),
  bytesOf(0, 0, 1, Buffer.from('some content')),
  bytesOf(0, 8, 1, padded(Buffer.from('padded'), 3)),
  bytesOf(0, 9, 1, padded(Buffer.alloc(0), 4)),
  bytesOf(0, 8, 1, padded(Buffer.from('none'), 0)),
  bytesOf(0, 1, 1, Buffer.alloc(0)),
  bytesOf(6, 0, 0, Buffer.from('12345678')),
  bytesOf(4, 1, 0, Buffer.alloc(0)),
  bytesOf(0xaa, 3, 5, Buffer.from('?')),
];

function read(bytes: Buffer, cuts: readonly number[]): string[] {
  const notes = new Notes();
  const reader = new FrameReader(notes, 16_384);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    reader.push(Buffer.from(bytes.subarray(from, cut)));
    from = cut;
  }
  return notes.events;
}

describe('frame reader', () => {
  const all = Buffer.concat(FRAMES);
  const expected = read(all, []);

  it('Ensure that frames in one piece are read, with padding taken off.', () => {
    expect(expected).toContain('data 1 10');
    expect(expected).toContain(`content ${Buffer.from('padded').toString('hex')} false`);
    expect(expected.at(-1)).toBe('frame 170 3 5 3f');
    expect(expected.length).toBe(FRAMES.length + 5);
  });

  it('Ensure that a cut at every byte, and at every pair of bytes, changes nothing.', () => {
    for (let first = 1; first < all.length; first++) {
      expect(read(all, [first])).toEqual(expected);
      for (let second = first + 1; second < all.length; second++) {
        const events = read(all, [first, second]);
        if (events.join() !== expected.join()) expect(events).toEqual(expected);
      }
    }
  });

  it('Ensure that single bytes are enough.', () => {
    expect(
      read(
        all,
        Array.from({length: all.length - 1}, (_, i) => i + 1),
      ),
    ).toEqual(expected);
  });

  it('Ensure that any frames survive any cuts.', () => {
    const frame = fc
      .record({
        type: fc.constantFrom(0, 0, 1, 4, 6, 8, 200),
        id: fc.integer({min: 1, max: 9}),
        body: fc.uint8Array({maxLength: 300}),
        end: fc.boolean(),
        padding: fc.integer({min: 0, max: 20}),
      })
      .map(({type, id, body, end, padding}) =>
        type === 0 && padding > 0
          ? bytesOf(0, 8 | Number(end), id, padded(body, padding))
          : bytesOf(type, Number(end), id, body),
      );
    fc.assert(
      fc.property(
        fc.array(frame, {maxLength: 10}),
        fc.array(fc.nat(3000), {maxLength: 10}),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames);
          const inside = [...new Set(cuts)].filter((cut) => cut < bytes.length).sort((a, b) => a - b);
          expect(read(bytes, inside)).toEqual(read(bytes, []));
        },
      ),
      {numRuns: 500},
    );
  });

  it('Ensure that the content of DATA is handed over where it lies.', () => {
    let seen: Buffer | undefined;
    const notes = new Notes();
    notes.dataPiece = (chunk) => {
      seen = chunk;
    };
    const chunk = bytesOf(0, 0, 1, Buffer.from('content'));
    new FrameReader(notes, 16_384).push(chunk);
    expect(seen).toBe(chunk);
  });
});
