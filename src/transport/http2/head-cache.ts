/**
 * Remembers what header blocks decoded to. A client repeats the bytes of its header block call after call once its
 * dynamic table has settled; the same bytes on the same table mean the same head, and nothing needs to be decoded.
 */

import type {RequestHead} from './request-head.ts';

const SLOTS = 8;
/** Settled blocks are about one byte per field. */
const BLOCK_BYTES_MAX = 128;

interface Slot {
  readonly generation: number;
  readonly block: Uint8Array;
  readonly head: RequestHead;
}

export class HeadCache {
  readonly #slots: (Slot | undefined)[] = new Array(SLOTS).fill(undefined);

  /** @param generation of the dynamic table before this block */
  find(generation: number, block: Uint8Array, start: number, end: number): RequestHead | undefined {
    const length = end - start;
    if (length > BLOCK_BYTES_MAX) return undefined;
    const slot = this.#slots[slotOf(block, start, end)];
    if (slot === undefined || slot.generation !== generation || slot.block.length !== length)
      return undefined;
    const known = slot.block;
    for (let i = 0; i < length; i++) if (known[i] !== block[start + i]) return undefined;
    return slot.head;
  }

  /** Only for a block that has left the table as it was. */
  remember(generation: number, block: Uint8Array, start: number, end: number, head: RequestHead): void {
    if (end - start > BLOCK_BYTES_MAX) return;
    this.#slots[slotOf(block, start, end)] = {generation, block: block.slice(start, end), head};
  }
}

function slotOf(block: Uint8Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum = (sum * 31 + block[i]) | 0;
  return sum & (SLOTS - 1);
}
