/**
 * What a member did to its disk, one event behind the other, and what it promised in between. From it the disk can
 * be made as a power failure at any place leaves it (crash-state.ts).
 */

import type {AppliedMark, Table} from '../../src/engine/types.ts';

/** A file, whatever its name is at the time. */
export type FileId = number;

/** A name that comes (with its file, or as a folder) or goes. */
export interface NameChange {
  readonly path: string;
  readonly to: FileId | 'folder' | undefined;
}

/** The whole content of a store's image, after a commit. */
export interface ImageContent {
  readonly applied: AppliedMark;
  readonly records: ReadonlyMap<Table, ReadonlyMap<string, Uint8Array>>;
}

export type DiskEvent =
  /** Changes of names in one folder that happen together or not at all. */
  | {readonly kind: 'names'; readonly folder: string; readonly changes: readonly NameChange[]}
  | {
      readonly kind: 'write';
      readonly file: FileId;
      readonly position: number;
      readonly bytes: Uint8Array;
    }
  /** The file's length; what is new is zero. */
  | {readonly kind: 'resize'; readonly file: FileId; readonly length: number}
  /** What was done to the file before event `covers` (and from event `from` on, if it says so) is durable. */
  | {readonly kind: 'sync'; readonly file: FileId; readonly covers: number; readonly from?: number}
  | {readonly kind: 'syncFolder'; readonly folder: string; readonly covers: number}
  /** A commit of a store begins; its end makes it durable, a crash before that leaves it or not. */
  | {readonly kind: 'commit'; readonly path: string; readonly content: ImageContent}
  | {readonly kind: 'committed'; readonly path: string}
  /** What the member owes the world from here on. */
  | {readonly kind: 'promise'; readonly promise: unknown};

/** The folder of a path; `.` is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}

/** The name that stands for a store's files in its folder: with it goes the image. */
export const imageName = (folder: string): string => `${folder}/image`;
