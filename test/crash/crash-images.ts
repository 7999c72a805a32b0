/**
 * The images that a power failure can leave at one place in a record. All combinations of the pieces that are not
 * durable while they are few; else the ones that are known to hurt, and others drawn by seed:
 *
 * - nothing, everything, and everything up to each piece (a disk that keeps order);
 * - all but one piece, and one piece alone (a disk that does not);
 * - the last write torn at each of its bytes;
 * - what made files longer kept as zeros only (the length was journaled before the data).
 */

import {SeededRandom} from '../simulator/seeded-random.ts';
import type {CrashImage, CrashState, Piece} from './crash-state.ts';

export interface EnumerationOptions {
  readonly seed: number;
  /** Up to so many pieces all combinations are made. */
  readonly piecesMax: number;
  /** So many combinations are drawn where there are more. */
  readonly drawn: number;
  /** Of the bytes of the last write, every so many-th is a place to tear it at ... */
  readonly tearStep: number;
  /** ... and so many at its beginning and at its end, each of them. */
  readonly tearEdge: number;
}

/** What was counted: images that differ, and the combinations that there would have been. */
export interface ImageCounts {
  boundaries: number;
  /** Boundaries at which not all combinations were made. */
  sampledBoundaries: number;
  made: number;
  distinct: number;
}

/** Each distinct image at this boundary that `seen` does not hold yet. */
export function* crashImages(
  state: CrashState,
  options: EnumerationOptions & {
    readonly boundary: number;
    readonly seen: Set<string>;
    readonly counts: ImageCounts;
  },
): Generator<CrashImage> {
  const {seen, counts} = options;
  counts.boundaries++;
  for (const kept of choices(state, options)) {
    counts.made++;
    const image = state.image(kept);
    if (seen.has(image.digest)) continue;
    seen.add(image.digest);
    counts.distinct++;
    yield image;
  }
}

function* choices(
  state: CrashState,
  options: EnumerationOptions & {readonly boundary: number; readonly counts: ImageCounts},
): Generator<readonly Piece[]> {
  const pieces = state.pending;
  if (pieces.length <= options.piecesMax) {
    for (let set = 0; set < 2 ** pieces.length; set++) yield pieces.filter((_, i) => (set >> i) % 2 === 1);
  } else {
    options.counts.sampledBoundaries++;
    for (let length = 0; length <= pieces.length; length++) yield pieces.slice(0, length);
    for (const alone of pieces) {
      yield [alone];
      yield pieces.filter((piece) => piece !== alone);
    }
    const random = new SeededRandom(options.seed * 1_000_003 + options.boundary);
    for (let i = 0; i < options.drawn; i++) yield pieces.filter(() => random.below(2) === 1);
  }
  yield* tornLastWrite(pieces, options);
  yield* zeroExtended(state);
}

function* tornLastWrite(
  pieces: readonly Piece[],
  {tearStep, tearEdge}: EnumerationOptions,
): Generator<readonly Piece[]> {
  const last = pieces.at(-1);
  if (last?.kind !== 'write') return;
  const write = pieces.filter((piece): piece is Piece & {kind: 'write'} => piece.event === last.event);
  const before = pieces.filter((piece) => piece.event !== last.event);
  const from = write[0].position;
  const length = last.position + last.bytes.length - from;
  for (const [i, sector] of write.entries()) {
    for (let bytes = 1; bytes < sector.bytes.length; bytes++) {
      const at = sector.position + bytes - from;
      if (at % tearStep !== 0 && at >= tearEdge && at < length - tearEdge) continue;
      const torn = {...sector, bytes: sector.bytes.subarray(0, bytes)};
      yield [...before, ...write.slice(0, i), torn];
    }
  }
}

function* zeroExtended(state: CrashState): Generator<readonly Piece[]> {
  const isLonger = (piece: Piece) =>
    piece.kind === 'write' && piece.position + piece.bytes.length > state.durableLength(piece.file);
  if (!state.pending.some(isLonger)) return;
  yield state.pending.map((piece) =>
    piece.kind === 'write' && isLonger(piece) ? {...piece, bytes: Buffer.alloc(piece.bytes.length)} : piece,
  );
}
