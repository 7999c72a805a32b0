/** Keys from `from` on, before `to`; undefined: all that follow. As latin1, whose order is that of the bytes. */

export interface TextRange {
  readonly from: string;
  readonly to: string | undefined;
}

export function isWithin({from, to}: TextRange, key: string): boolean {
  return from <= key && (to === undefined || key < to);
}

/** Whether two ranges have a key in common. */
export function overlap(a: TextRange, b: TextRange): boolean {
  return (b.to === undefined || a.from < b.to) && (a.to === undefined || b.from < a.to);
}
