/**
 * Loaded before a member's own code: its time of day is off by the milliseconds in a file, which may change. What it
 * is off by then is written beside it, as this process tells it.
 */

import {readFileSync, watchFile, writeFileSync} from 'node:fs';

const path = process.env.CLOCK_OFFSET_FILE;
const TrueDate = Date;
let offsetMs = 0;

class JumpingDate extends TrueDate {
  constructor(...args) {
    super(...(args.length === 0 ? [JumpingDate.now()] : args));
  }

  static now() {
    return TrueDate.now() + offsetMs;
  }
}

function read() {
  offsetMs = Number(readFileSync(path, 'utf8')) || 0;
  writeFileSync(`${path}.seen`, `${Date.now() - TrueDate.now()}`);
}

if (path !== undefined) {
  globalThis.Date = JumpingDate;
  read();
  watchFile(path, {persistent: false, interval: 100}, read);
}
