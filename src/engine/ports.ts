/**
 * Every way the engine touches the world, on one page. `engine/io` and `transport` implement these for real, the
 * simulator implements them from one seed; each has one contract suite that runs on both (test/contract).
 *
 * Rules that hold for all of them: nothing calls back into the engine synchronously from a call the engine made;
 * a rejected promise carries an EngineError where the engine can act on it.
 */

import type {AppliedMark, MemberId, RecordRange, Table, TableRecord} from './types.ts';

// ---- Time and chance ----------------------------------------------------------------------------------------

export interface Clock {
  /** Milliseconds on a clock that only goes forward; its zero means nothing. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the machine's calendar: for logs and certificates only, never for decisions. */
  wallMs(): number;
  /** Calls `action` once after `delayMs`. @returns a function that calls it off */
  after(delayMs: number, action: () => void): () => void;
  /** Resolves in a later turn of the event loop, after I/O that is already due: where a long walk takes breath. */
  yield(): Promise<void>;
}

export interface Random {
  /** A whole number in [0, bound). */
  below(bound: number): number;
  /** An unsigned 64-bit number. */
  uint64(): bigint;
}

// ---- Disk ---------------------------------------------------------------------------------------------------

/** A file system below one root folder. Paths are relative to it, with `/`. Errors are EngineError `disk…`. */
export interface Disk {
  /** Opens for reading and writing; `create` makes the file if it is missing and fails if it exists. */
  open(path: string, options: {create: boolean}): Promise<DiskFile>;
  readFile(path: string): Promise<Uint8Array>;
  exists(path: string): Promise<boolean>;
  /** Names of the entries, sorted; an absent folder is an error. */
  list(path: string): Promise<string[]>;
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole folder; absent is fine. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in this folder durable. */
  syncFolder(path: string): Promise<void>;
  /** The path as the user knows it, for errors and logs. */
  userPath(path: string): string;
}

export interface DiskFile {
  /** Bytes; may be less than asked at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /**
   * Writes all parts one behind the other, until the system has them, not until they are durable. No promise: it has
   * them already, and a sync can be asked for in the same turn. May throw at once.
   */
  write(position: number, parts: readonly Uint8Array[]): Promise<void> | undefined;
  /** One fdatasync. After a rejection nothing is known of what was written: the member stops. */
  sync(): Promise<void>;
  /** Makes the file at least this long, with zeros that need no later metadata sync. */
  preallocate(length: number): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

// ---- Backend ------------------------------------------------------------------------------------------------

/**
 * What one commit changes. Puts come before deletes; later changes of the same key win. Iterated once, in pieces,
 * while the commit is under way: nothing in it may change until it is done.
 */
export interface BackendBatch {
  readonly puts: Iterable<{readonly table: Table; readonly key: Uint8Array; readonly value: Uint8Array}>;
  readonly deletes: Iterable<{readonly table: Table; readonly key: Uint8Array}>;
  /** The mark the image has reached with this batch. Index 0: not a whole state yet, the image stays unmarked. */
  readonly applied: AppliedMark;
}

/** Reads of one committed image. Values are checked against their checksum; a mismatch throws `storeCorrupt`. */
export interface BackendReader {
  get(table: Table, key: Uint8Array): Uint8Array | undefined;
  /** In byte order. Records stay valid after the iterator moved on. */
  range(table: Table, range: RecordRange): IterableIterator<TableRecord>;
  count(table: Table): number;
  /** Absent on a store that has never committed a whole state. */
  applied(): AppliedMark | undefined;
}

/** A snapshot file on its way out. */
export interface SnapshotStream {
  /** All bytes to come: the database and its 32-byte digest. */
  readonly totalBytes: number;
  /** Must be read to the end or returned early: what stands behind it is given back then. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** An ordered, transactional, lazily written image of the state. One writer, many readers. */
export interface Backend extends BackendReader {
  /**
   * Applies the batch in one transaction, off the loop; resolves when it is durable. Reads see it from then on.
   * One commit at a time. After a rejection the image is unchanged; `diskFull` may be tried again, anything else
   * ends the member.
   */
  commit(batch: BackendBatch): Promise<void>;
  /** A reader that keeps seeing today's image, whatever is committed later. Closing it frees its pages. */
  view(): BackendReader & {close(): void};
  /**
   * etcd's snapshot file of one committed image, today's or a later one, read and written outside of the loop and of
   * the member's memory. Closing the backend ends it.
   * @throws EngineError storeCorrupt, diskError, exportFailed, stopped, or canceled when the signal says so; the
   * chunks reject with the same
   */
  exportSnapshot(signal: AbortSignal): Promise<SnapshotStream>;
  /** A hash over the records of one committed image (see record-hash.ts), in the same manner. */
  hashRecords(signal: AbortSignal): Promise<number>;
  /** Rewrites the file without free pages and swaps it in, while reads and commits go on. */
  defragment(): Promise<void>;
  size(): {readonly fileBytes: number; readonly inUseBytes: number};
  close(): Promise<void>;
}

/** How the member makes and replaces its backend; paths as in {@link Disk}. */
export interface BackendOpener {
  open(path: string): Promise<Backend>;
}

// ---- Peers --------------------------------------------------------------------------------------------------

export interface Peer {
  readonly id: MemberId;
  readonly urls: readonly string[];
}

/** What peers may ask of this member; each promise's rejection travels back to the caller. */
export interface PeerHandlers<Message, Call, Answer> {
  receive(from: MemberId, messages: readonly Message[]): void;
  /** A link broke or its queue overflowed: messages to this member were lost. */
  lost(to: MemberId): void;
  /**
   * A snapshot arrives beside the messages: `announcement` first, then its bytes. Resolves when it is taken
   * in, or not needed: what was not read by then is not sent any more.
   */
  receiveSnapshot(from: MemberId, announcement: Message, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  answer(from: MemberId, call: Call): Promise<Answer>;
}

/** Links to the other members. Sending never blocks and never fails: what cannot be queued is dropped. */
export interface PeerNetwork<Message, Call, Answer> {
  start(handlers: PeerHandlers<Message, Call, Answer>): Promise<void>;
  stop(): Promise<void>;
  /**
   * The members to keep links to. Other links are closed, except the link back to a member, not removed, that holds
   * one to this member: it is kept, or made, for that long, so that this member can answer it.
   */
  setPeers(peers: readonly Peer[]): void;
  /**
   * Each message arrives once at most: what a link that broke had not delivered is lost, and never sent again on the
   * next. For proposals everything hangs on that, since nobody could tell one that came twice from two of them; the
   * other messages of raft bear repetition.
   */
  send(to: MemberId, messages: readonly Message[]): void;
  sendSnapshot(to: MemberId, announcement: Message, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Heard once at most by the other member, like a message; after a rejection perhaps it was, perhaps not. */
  call(to: MemberId, call: Call, timeoutMs: number): Promise<Answer>;
  /** The same to a peer URL whose member id is not known yet (joining, discovery). Needs no cluster membership. */
  callUrl(url: string, call: Call, timeoutMs: number): Promise<Answer>;
  /** Monotonic milliseconds since when the link to this member has stood without a break; undefined: it is down. */
  connectedSinceMs(id: MemberId): number | undefined;
}

// ---- Secrets ------------------------------------------------------------------------------------------------

/** Password hashes, off the loop. */
export interface Hasher {
  hash(password: string): Promise<Uint8Array>;
  matches(password: string, hash: Uint8Array): Promise<boolean>;
}

export interface TokenSigner {
  sign(claims: {readonly user: string; readonly revision: number}): Promise<string>;
  verify(token: string): Promise<{readonly user: string; readonly revision: number} | undefined>;
}

/** A running SHA-256. */
export interface Digest {
  update(bytes: Uint8Array): void;
  finish(): Uint8Array;
}

// ---- Being watched ------------------------------------------------------------------------------------------

export type LogField = string | number | bigint | boolean | undefined | readonly (string | number | bigint)[];
export type LogFields = Readonly<Record<string, LogField>>;

/** A constant message and its fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger for a part of the program; `component` goes into every line. */
  child(component: string): Logger;
}

export type MetricLabels = Readonly<Record<string, string>>;

/**
 * Metric names are etcd's where etcd has the thing. Asking twice for a name (with the same labels) gives the same
 * metric; whoever counts on a hot path asks once and keeps it.
 */
export interface Metrics {
  counter(name: string, help: string, labels?: MetricLabels): {add(amount: number): void};
  gauge(name: string, help: string, labels?: MetricLabels): {set(value: number): void};
  histogram(
    name: string,
    help: string,
    bucketsSeconds: readonly number[],
    labels?: MetricLabels,
  ): {observe(seconds: number): void};
}
