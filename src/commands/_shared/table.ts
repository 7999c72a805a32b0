/**
 * Tables with cli-table3, looking as etcdctl's: centred titles, cells to the right, one line below the titles. In a
 * terminal that is too narrow cells wrap, but only between words and items of lists: half an id is none. Where that
 * is not enough each row becomes a table of its own with one field a line, and what is still too long sticks out.
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
/** The gap before, and what must stay together: up to a space or comma; a number keeps its unit. */
const PIECE = /( *)((?:[^ ,]|(?<=\d) (?=[kMGTPE]?B(?: |$)))+,?|,)/g;

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
  const roomWidth = (screen.columns ?? 0) - 1 - labelWidth - 2 * FRAME_COLUMNS;
  const valueWidth = Math.max(roomWidth, ...rows.flat().map(longestPiece));
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
  });
  for (const row of rows) {
    table.push(
      row.map((cell, at) => {
        const {content, ...rest} = typeof cell === 'string' ? {content: cell} : cell;
        return {...rest, content: wrapped(content, widths[at] ?? 0)};
      }),
    );
  }
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

function pieces(text: string): {gap: string; piece: string}[] {
  return [...text.matchAll(PIECE)].map(([, gap = '', piece = '']) => ({gap, piece}));
}

function longestPiece(text: string): number {
  return Math.max(0, ...pieces(text).map(({piece}) => piece.length));
}

/** In lines of at most `width`, which the longest piece has. */
function wrapped(text: string, width: number): string {
  if (text.length <= width) return text;
  const lines: string[] = [];
  for (const {gap, piece} of pieces(text)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + gap.length + piece.length <= width) {
      lines[lines.length - 1] = last + gap + piece;
    } else lines.push(piece);
  }
  return lines.join('\n');
}

/** The columns' natural widths, the widest that can wrap made smaller until all fit; undefined when they cannot. */
function fittingWidths(
  rows: readonly (readonly string[])[],
  columns: number | undefined,
): readonly number[] | undefined {
  const places = Array.from({length: rows[0]?.length ?? 0}, (_, at) => at);
  const widest = (measure: (cell: string) => number) =>
    places.map((at) => Math.max(...rows.map((row) => measure(row[at] ?? ''))));
  const widths = widest((cell) => cell.length);
  if (columns === undefined) return widths;
  const least = widest(longestPiece);
  let excess = widths.reduce((sum, width) => sum + width + FRAME_COLUMNS, 1) - columns;
  for (; excess > 0; excess--) {
    const shrinkable = places.filter((at) => (widths[at] ?? 0) > (least[at] ?? 0));
    if (shrinkable.length === 0) return undefined;
    const next = shrinkable.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a));
    widths[next] = (widths[next] ?? 0) - 1;
  }
  return widths;
}
