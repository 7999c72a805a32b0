#!/usr/bin/env node
import {existsSync} from 'node:fs';

const entry = new URL('../dist/commands/_shared/dispatch.js', import.meta.url);
if (!existsSync(entry)) {
  process.stderr.write('Error: kvd is not built yet; run: npm run build\n');
  process.exit(1);
}
const {main} = await import(entry.href);
process.exit(await main(process.argv.slice(2)));
