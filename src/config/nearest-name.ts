/** What somebody who mistyped a name probably meant. Pure. */

/** @returns of `names` the one that is a few slips of the keys from `word`; undefined: none is */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= least) continue;
    const count = slips(word, name);
    if (count < least) [nearest, least] = [name, count];
  }
  return nearest;
}

/** `; did you mean …?`, or nothing. */
export function didYouMean(word: string, names: Iterable<string>, form = (name: string) => name): string {
  const name = nearestName(word, names);
  return name === undefined ? '' : `; did you mean ${form(name)}?`;
}

/** Characters too many, missing, wrong, or swapped with their neighbour ("optimal string alignment"). */
function slips(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({length: to.length + 1}, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      const isSwapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwapped) least = Math.min(least, beforeLast[j - 2]! + 1);
      row.push(least);
    }
    [beforeLast, last] = [last, row];
  }
  return last[to.length]!;
}
