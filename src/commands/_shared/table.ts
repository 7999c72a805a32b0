/**
 * Tables with cli-table3, looking as etcdctl's: centred titles, cells to the right, one line below the titles. In a
 * terminal that is too narrow cells wrap; where that would leave too little of them, each row becomes a table of
 * its own with one field a line.
 */

import {Chalk} from 'chalk';
import CliTable from 'cli-table3';
import type {Terminal} from './terminal.ts';

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The border to the left of a cell and a space on both sides. */
const FRAME_COLUMNS = 3;
/** Narrower columns than this chop words into pieces. */
const CELL_COLUMNS_MIN = 10;

type Screen = Pick<Terminal, 'columns' | 'hasColor'>;

export function renderTable({head, rows}: Table, screen: Screen): string {
  const bold = new Chalk({level: screen.hasColor ? 1 : 0}).bold;
  const titles = head.map((title) => title.toUpperCase());
  const widths = fittingWidths([titles, ...rows], screen.columns);
  if (widths !== undefined) {
    const cells = [titles.map((title) => ({content: bold(title), hAlign: 'center' as const})), ...rows];
    return draw(cells, widths, 'right');
  }
  const labelWidth = Math.max(...titles.map((title) => title.length));
  const valueWidth = Math.max((screen.columns ?? 0) - 1 - labelWidth - 2 * FRAME_COLUMNS, CELL_COLUMNS_MIN);
  return rows
    .map((row) => row.map((cell, at) => [bold(titles[at] ?? ''), cell]))
    .map((cells) => draw(cells, [labelWidth, valueWidth], 'left', {hasHead: false}))
    .join('');
}

type Cell = string | {readonly content: string; readonly hAlign: 'center'};

function draw(
  rows: readonly (readonly Cell[])[],
  widths: readonly number[],
  align: 'left' | 'right',
  {hasHead} = {hasHead: true},
): string {
  const table = new CliTable({
    style: {head: [], border: []},
    colAligns: widths.map(() => align),
    colWidths: widths.map((width) => width + 2),
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
  for (const row of rows) table.push([...row]);
  const lines = table.toString().split('\n');
  const below = hasHead ? lines.findIndex(isSeparator) : -1;
  return `${lines.filter((line, at) => at === below || !isSeparator(line)).join('\n')}\n`;
}

function isSeparator(line: string): boolean {
  return line.startsWith('├');
}

/** The columns' natural widths, the widest made smaller until all fit; undefined when they cannot. */
function fittingWidths(
  rows: readonly (readonly string[])[],
  columns: number | undefined,
): readonly number[] | undefined {
  const count = rows[0]?.length ?? 0;
  const widths = Array.from({length: count}, (_, at) =>
    Math.max(...rows.map((row) => (row[at] ?? '').length)),
  );
  if (columns === undefined) return widths;
  let excess = widths.reduce((sum, width) => sum + width + FRAME_COLUMNS, 1) - columns;
  for (; excess > 0; excess--) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= CELL_COLUMNS_MIN) return undefined;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}
