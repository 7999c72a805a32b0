/** Loaded before a member's own code: its time of day is off by the milliseconds in a file, which may change. */

import {readFileSync, watchFile} from 'node:fs';

const path = process.env.CLOCK_OFFSET_FILE;
const now = Date.now;
let offsetMs = 0;

function read() {
  offsetMs = Number(readFileSync(path, 'utf8')) || 0;
}

if (path !== undefined) {
  read();
  watchFile(path, {persistent: false, interval: 100}, read);
  Date.now = () => now() + offsetMs;
}
