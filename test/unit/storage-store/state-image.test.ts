import {describe, expect, it} from 'vitest';
import {crc32c} from '../../../src/engine/lib/crc32c.ts';
import {readStateImage, writeStateImage} from '../../../src/engine/storage/state-image.ts';
import {TABLES} from '../../../src/engine/types.ts';
import {bytes, codeOf, markAt, read, StoreWorld} from './store-world.ts';

async function filledWorld(records: number, valueBytes = 50) {
  const world = new StoreWorld(1);
  const source = await world.run(world.disk.open('source'));
  const puts = TABLES.flatMap((table, t) =>
    Array.from({length: table === 'cluster' ? 0 : records + t}, (_, i) => ({
      table,
      key: bytes(`${table} ${String(i).padStart(6, '0')}`),
      value: Buffer.alloc(i % valueBytes, i),
    })),
  );
  await world.run(source.commit({puts, deletes: [], applied: {index: 77, term: 3, hash: 0xfffffff0}}));
  return {world, source};
}

async function collect(world: StoreWorld, chunks: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const gathered: Buffer[] = [];
  await world.run(
    (async () => {
      for await (const chunk of chunks) gathered.push(Buffer.from(chunk));
    })(),
  );
  return gathered;
}

async function* pieces(stream: Buffer, pieceBytes: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < stream.length; at += pieceBytes) yield stream.subarray(at, at + pieceBytes);
}

describe('state image', () => {
  it('Ensure that an image arrives whole, whatever pieces its stream comes in.', async () => {
    const {world, source} = await filledWorld(300);
    const stream = Buffer.concat(await collect(world, writeStateImage(source, {clock: world.clock})));
    for (const pieceBytes of [7, 4_096, stream.length]) {
      const target = await world.run(world.disk.open(`target ${pieceBytes}`));
      expect(await world.run(readStateImage(pieces(stream, pieceBytes), target))).toEqual({
        index: 77,
        term: 3,
        hash: 0xfffffff0,
      });
      expect(target.applied()).toEqual(source.applied());
      for (const table of TABLES) expect(read(target, table)).toEqual(read(source, table));
    }
  });

  it('Ensure that large images go in chunks and commits of bounded size, marked by the last one only.', async () => {
    const {world, source} = await filledWorld(12_000, 1_000);
    const chunks = await collect(world, writeStateImage(source, {clock: world.clock}));
    for (const chunk of chunks) expect(chunk.length).toBeLessThan(300 * 1024);
    expect(chunks.length).toBeGreaterThan(100);
    const target = await world.run(world.disk.open('target'));
    const marks: number[] = [];
    const commit = target.commit.bind(target);
    target.commit = (batch) => {
      marks.push(batch.applied.index);
      expect(target.applied()).toBeUndefined();
      return commit(batch);
    };
    await world.run(readStateImage(pieces(Buffer.concat(chunks), 100_000), target));
    expect(marks.length).toBeGreaterThan(2);
    expect(marks.slice(0, -1).every((index) => index === 0)).toBe(true);
    expect(marks.at(-1)).toBe(77);
    for (const table of TABLES) expect(target.count(table)).toBe(source.count(table));
  });

  it('Ensure that an empty state with a mark travels too.', async () => {
    const world = new StoreWorld(1);
    const source = await world.run(world.disk.open('source'));
    await world.run(source.commit({puts: [], deletes: [], applied: markAt(1)}));
    const stream = Buffer.concat(await collect(world, writeStateImage(source, {clock: world.clock})));
    const target = await world.run(world.disk.open('target'));
    expect(await world.run(readStateImage(pieces(stream, 10), target))).toEqual(markAt(1));
  });

  it('Ensure that a stream cut anywhere is refused and leaves no mark.', async () => {
    const {world, source} = await filledWorld(20);
    const stream = Buffer.concat(await collect(world, writeStateImage(source, {clock: world.clock})));
    const cuts = [
      0,
      1,
      7,
      8,
      9,
      100,
      ...Array.from({length: 40}, (_, i) => Math.floor((stream.length * i) / 40)),
      stream.length - 1,
    ];
    for (const [i, cut] of cuts.entries()) {
      const target = await world.run(world.disk.open(`target ${i}`));
      expect(await codeOf(world.run(readStateImage(pieces(stream.subarray(0, cut), 1_000), target)))).toBe(
        'snapshotInvalid',
      );
      expect(target.applied()).toBeUndefined();
    }
  });

  it('Ensure that a flipped bit anywhere, and frames lost, doubled or swapped, are refused.', async () => {
    const {world, source} = await filledWorld(2_000, 400);
    const chunks = await collect(world, writeStateImage(source, {clock: world.clock}));
    const stream = Buffer.concat(chunks);
    const refused = async (damaged: Buffer) => {
      const target = await world.run(world.disk.open(`target ${Math.random()}`));
      expect(await codeOf(world.run(readStateImage(pieces(damaged, 50_000), target)))).toBe(
        'snapshotInvalid',
      );
      expect(target.applied()).toBeUndefined();
    };
    const places = [
      0,
      3,
      4,
      8,
      9,
      30,
      ...Array.from({length: 20}, (_, i) => Math.floor((stream.length * i) / 20)),
      stream.length - 1,
    ];
    for (const at of places) {
      const damaged = Buffer.from(stream);
      damaged[at] ^= 1 << (at % 8);
      await refused(damaged);
    }
    expect(chunks.length).toBeGreaterThan(4);
    await refused(Buffer.concat([...chunks.slice(0, 2), ...chunks.slice(3)]));
    await refused(Buffer.concat([...chunks.slice(0, 2), chunks[1], ...chunks.slice(2)]));
    await refused(Buffer.concat([chunks[0], chunks[2], chunks[1], ...chunks.slice(3)]));
    await refused(Buffer.concat([stream, chunks[1]]));
    await refused(Buffer.concat(chunks.slice(1)));
  });

  it.each([
    'null',
    '[]',
    '{"name":"kvd state image","format":1,"tables":[]}',
    '{"name":"kvd state image","format":1,"applied":{"index":1,"term":1,"hash":1},"tables":[5]}',
    '{"name":"kvd state image","format":1,"applied":{"index":1,"term":-1,"hash":1},"tables":[]}',
    '{"name":"kvd state image","format":1,"applied":{"index":1,"term":1,"hash":1},"tables":[["key",0],["key",0]]}',
    '{"name":"kvd state image","format":{"toString":1}}',
  ])('Ensure that the header %s is refused though its checksum is right.', async (json) => {
    const world = new StoreWorld(1);
    const target = await world.run(world.disk.open('target'));
    const payload = Buffer.concat([Buffer.from([1]), Buffer.from(json)]);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt32LE(crc32c(payload), 4);
    const stream = Buffer.concat([head, payload]);
    expect(await codeOf(world.run(readStateImage(pieces(stream, 50), target)))).toBe('snapshotInvalid');
  });

  it('Ensure that a failing link and a full disk are passed on as they are.', async () => {
    const {world, source} = await filledWorld(300);
    const stream = Buffer.concat(await collect(world, writeStateImage(source, {clock: world.clock})));
    const broken = async function* (): AsyncGenerator<Uint8Array, void> {
      yield stream.subarray(0, 1_000);
      throw new Error('link broke');
    };
    const target = await world.run(world.disk.open('target'));
    await expect(world.run(readStateImage(broken(), target))).rejects.toThrow('link broke');
    world.disk.isFull = true;
    expect(await codeOf(world.run(readStateImage(pieces(stream, 1_000), target)))).toBe('diskFull');
    expect(target.applied()).toBeUndefined();
  });
});
