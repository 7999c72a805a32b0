/**
 * A member's whole state as a stream of bytes, for a member that is too far behind the log.
 *
 *     stream := frame*        frame := length u32 | checksum u32 | payload (little-endian)
 *
 * A frame's checksum is the CRC-32C over its payload, going on from the frame before: a frame that is missing,
 * doubled or out of place shows at once, and nothing is looked at before it is checked. The payload's first byte
 * says what it is: the header (JSON: format, mark, tables with their counts), records, or the end with the number of
 * all records. Without the end the stream is truncated.
 */

import {assert, EngineError} from '../errors.ts';
import {compareBytes} from '../lib/bytes.ts';
import {crc32c} from '../lib/crc32c.ts';
import {isCount, isObject} from '../lib/plain-data.ts';
import {BACKEND_KEY_BYTES_MAX, PEER_SNAPSHOT_CHUNK_BYTES, STATE_IMAGE_COMMIT_BYTES} from '../limits.ts';
import type {Backend, BackendReader, Clock} from '../ports.ts';
import {type AppliedMark, TABLES, type Table} from '../types.ts';
import {StateImageFrames} from './state-image-frames.ts';

const FORMAT = 1;
const NAME = 'kvd state image';
const KIND_HEADER = 1;
const KIND_RECORDS = 2;
const KIND_END = 3;

const FRAME_HEAD_BYTES = 8;
/** table u8 | key length u16 | value length u32 */
const RECORD_HEAD_BYTES = 7;

interface Header {
  readonly name: string;
  readonly format: number;
  readonly applied: AppliedMark;
  /** A record's table number is a place in this list. */
  readonly tables: readonly (readonly [table: Table, count: number])[];
}

/**
 * The stream of everything in `reader`, in chunks of about PEER_SNAPSHOT_CHUNK_BYTES; the loop runs between two of
 * them. The reader must stay as it is, and is the caller's to close.
 */
export async function* writeStateImage(
  reader: BackendReader,
  options: {readonly clock: Clock},
): AsyncGenerator<Uint8Array, void> {
  const applied = reader.applied();
  assert(applied !== undefined, 'an image without a mark cannot be sent');
  const writer = new FrameWriter();
  const header: Header = {
    name: NAME,
    format: FORMAT,
    applied,
    tables: TABLES.map((table) => [table, reader.count(table)]),
  };
  yield writer.text(KIND_HEADER, JSON.stringify(header));
  let records = 0;
  for (const [number, [table, count]] of header.tables.entries()) {
    let found = 0;
    for (const [key, value] of reader.range(table, {})) {
      found++;
      const chunk = writer.record(number, key, value);
      if (chunk === undefined) continue;
      yield chunk;
      await options.clock.yield();
    }
    assert(found === count, `table ${table} has ${found} records, not ${count}`);
    records += found;
  }
  const rest = writer.finishRecords();
  if (rest !== undefined) yield rest;
  yield writer.text(KIND_END, JSON.stringify({records}));
}

/**
 * Fills `backend`, which must be empty, from a stream. Its mark appears with the last record; after a rejection
 * the backend is without a mark, and the caller throws it away.
 * @throws EngineError snapshotInvalid when the stream is truncated or damaged, and what `backend` and `chunks` throw
 */
export async function readStateImage(
  chunks: AsyncIterable<Uint8Array>,
  backend: Backend,
): Promise<AppliedMark> {
  assert(backend.applied() === undefined, 'the backend for a state image is not empty');
  const frames = new StateImageFrames();
  const filler = new Filler(backend);
  for await (const chunk of chunks) {
    frames.add(chunk);
    for (let payload = frames.next(); payload !== undefined; payload = frames.next()) filler.take(payload);
    if (filler.pendingBytes >= STATE_IMAGE_COMMIT_BYTES) await filler.commitPart();
  }
  if (!frames.isAtFrame) throw invalid('the stream ends inside a frame');
  return filler.finish();
}

/** Builds frames; each call that completes one returns it. */
class FrameWriter {
  #checksum = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  text(kind: number, text: string): Uint8Array {
    return this.#frame(kind, [Buffer.from(text)]);
  }

  record(tableNumber: number, key: Uint8Array, value: Uint8Array): Uint8Array | undefined {
    const head = Buffer.allocUnsafe(RECORD_HEAD_BYTES);
    head[0] = tableNumber;
    head.writeUInt16LE(key.length, 1);
    head.writeUInt32LE(value.length, 3);
    this.#parts.push(head, key, value);
    this.#bytes += head.length + key.length + value.length;
    return this.#bytes >= PEER_SNAPSHOT_CHUNK_BYTES ? this.finishRecords() : undefined;
  }

  finishRecords(): Uint8Array | undefined {
    if (this.#parts.length === 0) return undefined;
    const frame = this.#frame(KIND_RECORDS, this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    return frame;
  }

  #frame(kind: number, parts: readonly Uint8Array[]): Uint8Array {
    const payloadBytes = parts.reduce((sum, part) => sum + part.length, 1);
    const frame = Buffer.allocUnsafeSlow(FRAME_HEAD_BYTES + payloadBytes);
    let at = FRAME_HEAD_BYTES;
    frame[at++] = kind;
    for (const part of parts) {
      frame.set(part, at);
      at += part.length;
    }
    assert(at === frame.length, 'a frame is not filled');
    this.#checksum = crc32c(frame.subarray(FRAME_HEAD_BYTES), this.#checksum);
    frame.writeUInt32LE(payloadBytes, 0);
    frame.writeUInt32LE(this.#checksum, 4);
    return frame;
  }
}

/** Takes checked payloads in order and hands their records to the backend. */
class Filler {
  readonly #backend: Backend;
  #header: Header | undefined;
  #puts: {table: Table; key: Uint8Array; value: Uint8Array}[] = [];
  #pendingBytes = 0;
  readonly #counts: number[] = [];
  #records = 0;
  #lastNumber = 0;
  #lastKey: Uint8Array | undefined;
  #isEnded = false;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  take(payload: Buffer): void {
    if (this.#isEnded) throw invalid('something follows the end');
    const kind = payload[0];
    const isFirst = this.#header === undefined;
    if (isFirst !== (kind === KIND_HEADER)) throw invalid('the header is missing or doubled');
    if (kind === KIND_HEADER) this.#header = parseHeader(payload);
    else if (kind === KIND_RECORDS) this.#takeRecords(payload, this.#header!);
    else if (kind === KIND_END) this.#takeEnd(payload);
    else throw invalid(`unknown kind of frame ${kind}`);
  }

  /** What has come so far, without a mark. */
  async commitPart(): Promise<void> {
    await this.#commit({index: 0, term: 0, hash: 0});
  }

  async finish(): Promise<AppliedMark> {
    if (!this.#isEnded) throw invalid('the stream ends too early');
    const {applied} = this.#header!;
    await this.#commit(applied);
    return applied;
  }

  async #commit(applied: AppliedMark): Promise<void> {
    const puts = this.#puts;
    this.#puts = [];
    this.#pendingBytes = 0;
    await this.#backend.commit({puts, deletes: [], applied});
  }

  #takeRecords(payload: Buffer, {tables}: Header): void {
    for (let at = 1; at < payload.length; ) {
      if (at + RECORD_HEAD_BYTES > payload.length) throw invalid('a record is cut');
      const number = payload[at];
      const keyFrom = at + RECORD_HEAD_BYTES;
      const valueFrom = keyFrom + payload.readUInt16LE(at + 1);
      at = valueFrom + payload.readUInt32LE(at + 3);
      if (at > payload.length || number >= tables.length) throw invalid('a record is cut or of no table');
      const key = payload.subarray(keyFrom, valueFrom);
      this.#checkOrder(number, key);
      this.#counts[number] = (this.#counts[number] ?? 0) + 1;
      this.#records++;
      this.#puts.push({table: tables[number][0], key, value: payload.subarray(valueFrom, at)});
    }
    this.#pendingBytes += payload.length;
  }

  /** Ascending order throughout: no record comes twice. */
  #checkOrder(number: number, key: Uint8Array): void {
    const isNextTable = number > this.#lastNumber || this.#lastKey === undefined;
    const isInOrder = isNextTable || (number === this.#lastNumber && compareBytes(this.#lastKey!, key) < 0);
    if (!isInOrder || key.length === 0 || key.length > BACKEND_KEY_BYTES_MAX) {
      throw invalid(`record ${this.#records} is out of order or has an impossible key`);
    }
    this.#lastNumber = number;
    this.#lastKey = key;
  }

  #takeEnd(payload: Buffer): void {
    const end = parseJson(payload);
    const records = isObject(end) && isCount(end.records) ? end.records : undefined;
    if (records !== this.#records)
      throw invalid(`the stream has ${this.#records} records, its end says ${records}`);
    for (const [number, [table, count]] of this.#header!.tables.entries()) {
      const found = this.#counts[number] ?? 0;
      if (found !== count) throw invalid(`table ${table} has ${found} records, the header says ${count}`);
    }
    this.#isEnded = true;
  }
}

function parseHeader(payload: Buffer): Header {
  const header = parseJson(payload);
  if (!isObject(header) || header.name !== NAME) throw invalid('this is no state image');
  const {format, applied} = header;
  if (format !== FORMAT)
    throw invalid(`format ${isCount(format) ? format : 'unknown'}, supported is ${FORMAT}`);
  const tables = parseTables(header.tables);
  const {index, term, hash} = isObject(applied) ? applied : {};
  const isWhole = isCount(index) && index > 0 && isCount(term) && isCount(hash) && hash >>> 0 === hash;
  if (!isWhole) throw invalid('the header has no mark');
  return {name: NAME, format: FORMAT, applied: {index, term, hash}, tables};
}

function parseTables(list: unknown): [Table, number][] {
  if (!Array.isArray(list)) throw invalid('the header has no tables');
  const seen = new Set<unknown>();
  return list.map((item: unknown): [Table, number] => {
    const [name, count] = Array.isArray(item) ? item : [];
    const table = TABLES.find((known) => known === name);
    if (table === undefined) throw invalid(`unknown table ${typeof name === 'string' ? name : ''}`);
    if (seen.has(table) || !isCount(count)) throw invalid(`table ${table} comes twice, or without its count`);
    seen.add(table);
    return [table, count];
  });
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8', 1));
  } catch (error) {
    throw new EngineError({code: 'snapshotInvalid', detail: 'a frame is not JSON'}, error);
  }
}

function invalid(detail: string): EngineError {
  return new EngineError({code: 'snapshotInvalid', detail});
}
