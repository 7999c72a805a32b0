/** Sorting very many things in slices: short runs at once, then merged two by two. */

/** Items between two yields: well below a millisecond. */
const SLICE_ITEMS = 2_048;

/** Takes `items` over, and may return another array. Ascending by `<`: for strings, by their code units. */
export function* sortSlices<Item extends string | bigint>(items: Item[]): Generator<undefined, Item[]> {
  if (items.length <= SLICE_ITEMS) return items.sort(ascending);
  let from: Item[] = [];
  for (let start = 0; start < items.length; start += SLICE_ITEMS) {
    for (const item of items.slice(start, start + SLICE_ITEMS).sort(ascending)) from.push(item);
    yield;
  }
  let to = items;
  for (let width = SLICE_ITEMS; width < items.length; width *= 2) {
    for (let start = 0; start < from.length; start += 2 * width) yield* merge({from, to, start, width});
    [from, to] = [to, from];
  }
  return from;
}

/** Two neighbouring runs of `from` become one run of `to`; the last ones may be shorter, or missing. */
function* merge<Item>({
  from,
  to,
  start,
  width,
}: {
  from: readonly Item[];
  to: Item[];
  start: number;
  width: number;
}): Generator<undefined, void> {
  const middle = Math.min(start + width, from.length);
  const end = Math.min(middle + width, from.length);
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const isLeft = left < middle && (right === end || from[left] <= from[right]);
    to[at] = isLeft ? from[left++] : from[right++];
    if (at % SLICE_ITEMS === 0) yield;
  }
}

function ascending<Item>(a: Item, b: Item): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
