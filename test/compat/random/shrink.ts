/** A shorter list of operations with the same kind of difference: by halves of what stands before it, then by pieces. */

/** @param fails whether the list still shows a difference, and up to which place. @returns the shortest that was found */
export async function shrink(
  numbers: readonly number[],
  {fails, untilMs}: {fails: (numbers: readonly number[]) => Promise<boolean>; untilMs: number},
): Promise<readonly number[]> {
  let shortest = numbers;
  for (let size = Math.ceil(numbers.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < shortest.length && performance.now() < untilMs; ) {
      const without = [...shortest.slice(0, from), ...shortest.slice(from + size)];
      if (without.length > 0 && (await fails(without))) shortest = without;
      else from += size;
    }
  }
  return shortest;
}
