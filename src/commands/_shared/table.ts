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
  const titles = head.map((title) => title.toUpperCase());
  const widths = fittingWidths([titles, ...rows], screen.columns);
  if (widths !== undefined) {
    const cells = [titles.map((content) => ({content, hAlign: 'center' as const})), ...rows];
    const lines = draw(cells, widths, 'right');
    const below = lines.findIndex(isSeparator);
    const kept = lines.filter((line, at) => at === below || !isSeparator(line));
    return joined(
      kept.map((line, at) => (at > 0 && at < below ? emphasized(line, titles.length, screen) : line)),
    );
  }
  const labelWidth = Math.max(...titles.map((title) => title.length));
  const valueWidth = Math.max((screen.columns ?? 0) - 1 - labelWidth - 2 * FRAME_COLUMNS, CELL_COLUMNS_MIN);
  return rows
    .map((row) => row.map((cell, at) => [titles[at] ?? '', cell]))
    .map((cells) => draw(cells, [labelWidth, valueWidth], 'left').filter((line) => !isSeparator(line)))
    .map((lines) => joined(lines.map((line) => emphasized(line, 1, screen))))
    .join('');
}

type Cell = string | {readonly content: string; readonly hAlign: 'center'};

function draw(
  rows: readonly (readonly Cell[])[],
  widths: readonly number[],
  align: 'left' | 'right',
): readonly string[] {
  const table = new CliTable({
    style: {head: [], border: []},
    colAligns: widths.map(() => align),
    colWidths: widths.map((width) => width + 2),
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
  for (const row of rows) table.push([...row]);
  return table.toString().split('\n');
}

function joined(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

/** The first cells of a drawn line in bold. Done after the drawing, which would cut escape codes into pieces. */
function emphasized(line: string, cells: number, {hasColor}: Screen): string {
  if (!hasColor || !line.startsWith('│')) return line;
  const {bold} = new Chalk({level: 1});
  return line
    .split('│')
    .map((cell, at) => (at > 0 && at <= cells ? cell.replace(/\S(?:.*\S)?/, (text) => bold(text)) : cell))
    .join('│');
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
