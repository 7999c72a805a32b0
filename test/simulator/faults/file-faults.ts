/**
 * What happens to files while nobody looks: bits that rot, old versions that somebody puts back, files that are gone,
 * a disk that was replaced. Each strikes what a member must notice at its next start, or can bear. What none can
 * notice is left out: the end of the log, or all files together, as they were some time ago. Then a member breaks
 * promises of which it has no trace, whatever its consensus is.
 */

import {segmentName, sequenceOf} from '../../../src/engine/storage/wal-format.ts';
import type {SeededRandom} from '../seeded-random.ts';
import type {SimulatedMember} from '../simulated-member.ts';
import type {FaultScene, FileFault, Stroke} from './fault-kinds.ts';
import {losePower} from './process-faults.ts';

const MARKER = 'KVD';
const WAL = 'wal';
/** Of the end of a log: its last batch, or a few. */
const LOG_END_BYTES = 400;
/** How long after a fault the member is ended, if nothing else did, so that it meets it: milliseconds. */
const NOTICED_AFTER_MS_MAX = 4_000;
/** When it is no time for it, milliseconds. */
const RETRY_MS = 150;
const RETRIES = 12;

/** Strikes as soon as it may; not at all when that takes too long. */
export function strikeFiles(kind: FileFault, scene: FaultScene, stroke: Stroke, retries = RETRIES): void {
  // Draws of its own: it may come late.
  const random = scene.random.fork();
  const attempt = (left: number): void => {
    const {members, casualties} = scene;
    const start = members.indexOf(stroke.member);
    const member = [...members.slice(start), ...members.slice(0, start)].find((one) =>
      casualties.mayStrike(one),
    );
    if (member !== undefined && strike(kind, {scene, member, random, ms: stroke.ms})) return;
    if (left > 0) scene.later(RETRY_MS, () => attempt(left - 1));
  };
  attempt(retries);
}

interface FileStroke {
  readonly scene: FaultScene;
  readonly member: SimulatedMember;
  readonly random: SeededRandom;
  readonly ms: number;
}

/** @returns false when there was nothing to strike */
function strike(kind: FileFault, stroke: FileStroke): boolean {
  switch (kind) {
    case 'flippedBit':
      return flipBit(stroke);
    case 'staleFile':
      return putOldFileBack(stroke);
    case 'missingFile':
      return loseFile(stroke);
    case 'wipedDisk':
      return wipeDisk(stroke);
  }
}

/** In a file of a process that runs, or of one that has just ended. */
function flipBit(stroke: FileStroke): boolean {
  const {scene, member, random} = stroke;
  const isDown = random.below(2) === 0;
  if (isDown) end(stroke);
  const where = random.below(10);
  const struck =
    where < 7
      ? flipInLog(member, random, {isAtEnd: where < 5})
      : where < 8
        ? flipIn(member, random, {path: MARKER, from: 0, to: member.disk.bytesOf(MARKER).length})
        : member.images.damageAny(random);
  if (struck === undefined) return false;
  tell(stroke, `a bit flips in ${struck}`);
  if (!isDown) endLater(stroke);
  else if (random.below(3) === 0) losePowerElsewhere(stroke);
  scene.struck('flippedBit');
  return true;
}

function flipInLog(
  member: SimulatedMember,
  random: SeededRandom,
  {isAtEnd}: {isAtEnd: boolean},
): string | undefined {
  const segments = segmentsOf(member);
  const path = isAtEnd ? segments.at(-1) : segments[random.below(segments.length)];
  if (path === undefined) return undefined;
  const bytes = member.disk.bytesOf(path);
  let to = bytes.length;
  while (to > 0 && bytes[to - 1] === 0) to--;
  return flipIn(member, random, {path, from: isAtEnd ? Math.max(0, to - LOG_END_BYTES) : 0, to});
}

function flipIn(
  {disk}: SimulatedMember,
  random: SeededRandom,
  {path, from, to}: {readonly path: string; readonly from: number; readonly to: number},
): string | undefined {
  if (to <= from) return undefined;
  const at = from + random.below(to - from);
  disk.tamper(path, at, Uint8Array.of(disk.bytesOf(path)[at] ^ (1 << random.below(8))));
  return `${path} at ${at}`;
}

/** A segment of the log that has one behind it, or the store, as it was some time ago. */
function putOldFileBack(stroke: FileStroke): boolean {
  const {scene, member, random, ms} = stroke;
  if (random.below(2) === 0) {
    end(stroke);
    const commits = member.images.goBack(1 + random.below(8));
    if (commits === 0) return false;
    tell(stroke, `the store is ${commits} commits older`);
    scene.struck('staleFile');
    return true;
  }
  const path = segmentsOf(member).at(-1);
  if (path === undefined) return false;
  const old = Buffer.from(member.disk.bytesOf(path));
  scene.later(ms, () => {
    // The disk is another one when the machine has lost power meanwhile: its files go on.
    const segments = segmentsOf(member);
    const isClosed = segments.includes(path) && segments.at(-1) !== path;
    if (!isClosed || !scene.casualties.mayStrike(member)) return;
    if (member.disk.bytesOf(path).equals(old)) return;
    end(stroke);
    member.disk.putBack(path, old);
    tell(stroke, `${path} is an old one`);
    scene.struck('staleFile');
  });
  return true;
}

/** The marker, a segment of the log with one behind it, or all of log or store. */
function loseFile(stroke: FileStroke): boolean {
  const {scene, member, random} = stroke;
  const segments = segmentsOf(member);
  const store = member.images.paths().at(-1);
  const closed = segments.length === 1 ? segments : segments.slice(0, -1);
  const choices = [MARKER, WAL, ...closed, ...closed, ...(store === undefined ? [] : [store])];
  const path = choices[random.below(choices.length)];
  end(stroke);
  member.disk.lose(path);
  member.images.remove(path);
  tell(stroke, `${path} is gone`);
  scene.struck('missingFile');
  return true;
}

/** The machine comes back with an empty disk, and with the flags it had. */
function wipeDisk(stroke: FileStroke): boolean {
  const {scene, member} = stroke;
  const id = member.life?.opened?.identity.memberId;
  const knowIt = scene.members.every(
    (other) => other === member || id === undefined || (other.replica?.members.get(id)?.name ?? '') !== '',
  );
  // Those who have not heard yet that it had started take it for a new one: see TESTING.md.
  if (id === undefined || !knowIt) return false;
  scene.casualties.struck(member, {isWiped: true});
  if (member.isUp) member.kill({landed: false});
  member.wipe();
  tell(stroke, 'the disk is empty');
  scene.struck('wipedDisk');
  return true;
}

const segmentsOf = ({disk}: SimulatedMember): string[] =>
  disk
    .namesIn(WAL)
    .filter((name) => sequenceOf(name) !== undefined)
    .map((name) => `${WAL}/${segmentName(sequenceOf(name) ?? 0)}`);

function end({scene, member, random}: FileStroke): void {
  scene.casualties.struck(member);
  if (member.isUp) member.kill({landed: random.below(2) === 0});
}

/** Nobody runs on who could make up for what is lost before the member takes part again. */
function losePowerElsewhere({scene, member, random}: FileStroke): void {
  scene.note('all lose power');
  scene.reach('all lose power, and a file rots');
  for (const one of scene.members) if (one !== member) losePower(random, one);
}

/** The rot is met at the next start, which is not too far. */
function endLater({scene, member, random}: FileStroke): void {
  scene.casualties.struck(member);
  const {life} = member;
  scene.later(random.below(NOTICED_AFTER_MS_MAX), () => {
    if (member.life === life && member.isUp) member.kill({landed: false});
  });
}

function tell({scene, member}: FileStroke, what: string): void {
  scene.note(`file of ${member.name}: ${what}`);
}
