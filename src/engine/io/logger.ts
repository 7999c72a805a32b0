/**
 * Log lines on stderr: JSON, one object a line with etcd's first fields (level, ts, msg), or text for people.
 *
 * pino writes them, loaded only by who logs (the client commands do not). Lines go out by a synchronous write: the
 * last words before a crash are the ones that matter. A switched-off level costs one call of an empty function.
 */

import type {Logger as Pino} from 'pino';
import {hex64} from '../lib/hex64.ts';
import type {LogField, LogFields, Logger} from '../ports.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'fatal';
export type LogFormat = 'json' | 'console';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where whole lines go; stderr by default. */
  readonly write?: ((line: string) => void) | undefined;
}

/** The levels above error exist for etcd's settings: kvd logs nothing there, so they silence everything. */
const PINO_LEVELS = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  panic: 'silent',
  fatal: 'silent',
} as const;

export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const {pino} = await import('pino');
  const write = options.write ?? stderrWriter(pino.destination({dest: 2, sync: true}));
  const out = options.format === 'json' ? write : (line: string) => write(toText(line));
  const settings = {
    level: PINO_LEVELS[options.level],
    base: null,
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: {level: (label: string) => ({level: label})},
  };
  return new PinoLogger(pino(settings, {write: out}));
}

/** Says nothing; for tests and for tools that have nobody to talk to. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

function stderrWriter(destination: {write(line: string): unknown}): (line: string) => void {
  return (line) => {
    destination.write(line);
  };
}

type Write = (message: string, fields?: LogFields) => void;

const off: Write = () => {};

class PinoLogger implements Logger {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  readonly #pino: Pino;

  constructor(pino: Pino) {
    this.#pino = pino;
    this.debug = this.#writer('debug');
    this.info = this.#writer('info');
    this.warn = this.#writer('warn');
    this.error = this.#writer('error');
  }

  child(component: string): Logger {
    return new PinoLogger(this.#pino.child({component}));
  }

  #writer(level: 'debug' | 'info' | 'warn' | 'error'): Write {
    const pino = this.#pino;
    if (!pino.isLevelEnabled(level)) return off;
    return (message, fields) => {
      if (fields === undefined) pino[level](message);
      else pino[level](printableFields(fields), message);
    };
  }
}

function printableFields(fields: LogFields): Record<string, unknown> {
  const printable: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) printable[name] = printableField(fields[name]);
  return printable;
}

/** A bigint is an id (members, clusters, leases) everywhere in kvd: ids are written as etcd writes them, in hex. */
function printableField(field: LogField): unknown {
  if (typeof field === 'bigint') return hex64(field);
  if (Array.isArray(field)) return field.map(printableField);
  return field;
}

/** `time<tab>level<tab>component<tab>message<tab>{other fields}`, as zap's console encoder lays it out. */
function toText(line: string): string {
  const {level, ts, component, msg, ...fields} = JSON.parse(line) as Record<string, unknown>;
  const head = [ts, level, component, msg].filter((part) => part !== undefined).map(String);
  if (Object.keys(fields).length > 0) head.push(JSON.stringify(fields));
  return `${head.join('\t')}\n`;
}
