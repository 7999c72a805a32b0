/** A header block that may be sent again without encoding it: the table must be the one it was made for. */

import type {HpackEncoder} from './encoder.ts';

export class RememberedBlock {
  readonly block: Buffer;
  readonly #generation: number;

  private constructor(block: Buffer, generation: number) {
    this.block = block;
    this.#generation = generation;
  }

  /**
   * Remembers the block that `encoder` has just finished.
   * @returns undefined when the block changed the table: the same fields will be other bytes next time
   */
  static of(encoder: HpackEncoder): RememberedBlock | undefined {
    if (encoder.hasChangedTable) return undefined;
    return new RememberedBlock(Buffer.from(encoder.end()), encoder.generation);
  }

  isFor(encoder: HpackEncoder): boolean {
    return this.#generation === encoder.generation && !encoder.hasSizeUpdate;
  }
}
