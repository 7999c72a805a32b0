/** Tables with cli-table3: right-aligned cells, cut to the terminal's width when there is a terminal. */

import {Chalk} from 'chalk';
import CliTable from 'cli-table3';
import type {Table} from './printer.ts';
import type {Terminal} from './terminal.ts';

/** Two spaces of padding and the border to the left of each cell. */
const FRAME_COLUMNS = 3;
/** A column is not made narrower than this, even if the table then leaves the screen. */
const CELL_COLUMNS_MIN = 6;

export function renderTable({head, rows}: Table, terminal: Pick<Terminal, 'columns' | 'hasColor'>): string {
  const colors = new Chalk({level: terminal.hasColor ? 1 : 0});
  const table = new CliTable({
    head: head.map((title) => colors.bold(title.toUpperCase())),
    style: {head: [], border: []},
    colAligns: head.map(() => 'right' as const),
    colWidths: [...fittingWidths([head, ...rows], terminal.columns)],
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
  for (const row of rows) table.push([...row]);
  return `${table.toString()}\n`;
}

/** The columns' natural widths, the widest made smaller until all fit `columns`; cells then wrap. */
function fittingWidths(rows: readonly (readonly string[])[], columns: number | undefined): readonly number[] {
  const count = rows[0]?.length ?? 0;
  const widths = Array.from({length: count}, (_, at) =>
    Math.max(...rows.map((row) => (row[at] ?? '').length)),
  );
  if (columns !== undefined) {
    let excess = widths.reduce((sum, width) => sum + width + FRAME_COLUMNS, 1) - columns;
    for (; excess > 0; excess--) {
      const widest = widths.indexOf(Math.max(...widths));
      if ((widths[widest] as number) <= CELL_COLUMNS_MIN) break;
      widths[widest] = (widths[widest] as number) - 1;
    }
  }
  return widths.map((width) => width + 2);
}
