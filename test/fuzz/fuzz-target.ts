/** A decoder under fuzz: right inputs to begin with, and the only ways in which it may refuse a wrong one. */

export interface FuzzTarget {
  readonly name: string;
  /** Right inputs. */
  readonly samples: readonly Uint8Array[];
  /** Decodes; throws or rejects for a wrong input. */
  readonly run: (bytes: Buffer) => unknown;
  /** Whether it may end so. */
  readonly isRefusal: (error: unknown) => boolean;
}
