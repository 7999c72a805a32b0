/** Asks for a password without showing it. */

import {CommandError, ExitCode} from './exit.ts';
import type {Terminal} from './terminal.ts';

const CONTROL_C = '\u0003';
const BACKSPACES = new Set(['\u007f', '\b']);

/** From a pipe the first line is taken. */
export async function askPassword(prompt: string, terminal: Terminal): Promise<string> {
  terminal.writeError(prompt);
  const {stdin} = process;
  if (!stdin.isTTY) {
    for await (const {line} of terminal.lines()) return Buffer.from(line, 'latin1').toString('utf8');
    return '';
  }
  stdin.setRawMode(true);
  try {
    return await readHidden(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    terminal.writeError('\n');
  }
}

async function readHidden(stdin: NodeJS.ReadStream): Promise<string> {
  const typed: string[] = [];
  for await (const chunk of stdin) {
    for (const char of String(chunk)) {
      if (char === '\r' || char === '\n') return typed.join('');
      if (char === CONTROL_C) throw new CommandError(ExitCode.interrupted, 'interrupted');
      if (BACKSPACES.has(char)) typed.pop();
      else typed.push(char);
    }
  }
  return typed.join('');
}
