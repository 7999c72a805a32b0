/**
 * Turns results into output. A view is one result's looks: how it is shown as plain lines, as `fields`, as JSON, as
 * protobuf and as a table; a look that etcdctl does not have is absent. Bytes pass through as they are.
 */

import {CommandError, ExitCode} from './exit.ts';
import {goJson, type JsonValue} from './go-json.ts';
import {goQuote, hexEscape} from './go-quote.ts';
import type {Table} from './table.ts';
import type {Terminal} from './terminal.ts';

export const FORMATS = ['simple', 'fields', 'json', 'protobuf', 'table'] as const;
export type Format = (typeof FORMATS)[number];

export interface Looks {
  readonly format: Format;
  /** `--hex`: bytes as \xNN, and some ids in hex. */
  readonly hex: boolean;
}

export interface View<Result> {
  readonly simple: (result: Result, lines: Lines) => void;
  readonly fields?: (result: Result, lines: Lines) => void;
  readonly json?: (result: Result, looks: Looks) => JsonValue | Promise<JsonValue>;
  readonly protobuf?: (result: Result) => Uint8Array | Promise<Uint8Array>;
  readonly table?: (result: Result) => Table;
}

/** A batch of output that grows beyond this is written, so that a large answer is not held twice. */
const BATCH_BYTES_MAX = 256 * 1024;

/** Collects lines of bytes and writes them in large pieces. */
export class Lines {
  readonly #terminal: Terminal;
  readonly hex: boolean;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(terminal: Terminal, options: {hex: boolean}) {
    this.#terminal = terminal;
    this.hex = options.hex;
  }

  text(line: string): void {
    this.#add(Buffer.from(`${line}\n`, 'utf8'));
  }

  /** Bytes and a line feed, whatever `--hex` says. */
  line(bytes: Uint8Array): void {
    this.#add(bytes);
    this.#add(LINE_FEED);
  }

  /** Bytes and a line feed; with `--hex` as \xNN. */
  bytes(bytes: Uint8Array): void {
    if (this.hex) this.text(hexEscape(bytes));
    else this.line(bytes);
  }

  /** `"Name" : value`. */
  field(name: string, value: string | number | bigint | boolean): void {
    this.text(`"${name}" : ${typeof value === 'number' ? integerText(value) : value}`);
  }

  /** A field whose value is bytes, as Go's %q shows them; `--hex` changes nothing here. */
  quoted(name: string, bytes: Uint8Array): void {
    this.field(name, goQuote(bytes));
  }

  flush(): void {
    if (this.#bytes > 0) this.#terminal.write(Buffer.concat(this.#parts, this.#bytes));
    this.#parts = [];
    this.#bytes = 0;
  }

  #add(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= BATCH_BYTES_MAX) this.flush();
  }
}

const LINE_FEED = Buffer.from('\n');

/** All digits, where a number would switch to an exponent. */
function integerText(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : String(value);
}

/** @throws CommandError 4 when the format is none, in etcdctl's words */
export function parseFormat(text: string): Format {
  const format = FORMATS.find((known) => known === text);
  if (format === undefined) throw new CommandError(ExitCode.badFeature, 'unsupported output format');
  return format;
}

/** Called before the request, so that a format that cannot be shown costs no change. @throws CommandError 4 */
export function requireLook<Result>(view: View<Result>, format: Format): void {
  if (view[format] !== undefined) return;
  throw new CommandError(ExitCode.badFeature, `${format} not supported as output format`);
}

export async function show<Result>(
  view: View<Result>,
  result: Result,
  looks: Looks,
  terminal: Terminal,
): Promise<void> {
  requireLook(view, looks.format);
  const lines = new Lines(terminal, looks);
  if (looks.format === 'simple') view.simple(result, lines);
  if (looks.format === 'fields') view.fields?.(result, lines);
  lines.flush();
  if (looks.format === 'json' && view.json) terminal.write(`${goJson(await view.json(result, looks))}\n`);
  if (looks.format === 'protobuf' && view.protobuf) terminal.write(await view.protobuf(result));
  if (looks.format === 'table' && view.table) {
    const {renderTable} = await import('./table.ts');
    terminal.write(renderTable(view.table(result), terminal));
  }
}
