/**
 * Writes docs/CONFIG.md and docs/LIMITS.md from the code; with --check it writes nothing and fails when they are
 * not what the code says. Reads dist/: build first.
 */

import {readFileSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const dist = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);

const {SETTINGS, CONFIG_FILE_FLAG, environmentName} = await dist('config/settings.js');
const {LEGACY_FLAGS} = await dist('config/legacy-flags.js');

/** Pages of limits, from the inside out. */
const LIMIT_PAGES = [
  {title: 'Engine', path: 'engine/limits'},
  {title: 'Client port: HTTP/2 and gRPC', path: 'transport/http2/limits'},
  {title: 'Client port: requests', path: 'transport/api/limits'},
];

const NOTE = 'Generated from the code by scripts/generate-docs.js; not edited by hand.';

const pages = {
  'CONFIG.md': configPage(),
  'LIMITS.md': await limitsPage(),
};

let stale = 0;
for (const [name, text] of Object.entries(pages)) {
  const path = join(root, 'docs', name);
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readIfThere(path) !== text) {
    console.error(`docs/${name} is not what the code says; run: node scripts/generate-docs.js`);
    stale++;
  }
}
process.exitCode = stale === 0 ? 0 : 1;

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

// ---- Settings -----------------------------------------------------------------------------------------------

function configPage() {
  const groups = groupBy(Object.values(SETTINGS), (row) => row.group);
  const tables = Object.entries(groups).map(([group, rows]) => `## ${group}\n\n${settingsTable(rows)}`);
  return `# Settings of \`kvd serve\`

${NOTE}

Each setting is a flag (\`--name=a\`, \`--name a\`, \`-name a\`), two environment variables and a line of a YAML file. A
flag wins over \`KVD_*\`, \`KVD_*\` over \`ETCD_*\`. With \`--${CONFIG_FILE_FLAG}=FILE\` (also \`${environmentName('KVD', CONFIG_FILE_FLAG)}\`,
\`${environmentName('ETCD', CONFIG_FILE_FLAG)}\`) the file alone counts; flags and variables are then ignored with a warning. In the file a
setting has its flag's name without the dashes; a duration is a text (\`5s\`) or a number of nanoseconds, a list is a
text with commas or a YAML list. A boolean flag takes its value behind \`=\`.

${tables.join('\n\n')}

## Settings of etcd without effect

Accepted with a warning, so that existing unit files and configuration files work:

${legacyList(false)}

## Settings of etcd that are refused

Losing them silently would be dangerous:

${legacyList(true)}
`;
}

function settingsTable(rows) {
  const lines = rows.map(({flag, aliases = [], default: value, unit, help}) => {
    const names = [flag, ...aliases].map((name) => `\`--${name}\``).join(', ');
    const variables = ['KVD', 'ETCD'].map((prefix) => `\`${environmentName(prefix, flag)}\``).join(' ');
    return `| ${names} | ${cell(value)} | ${unit} | ${help} | ${variables} |`;
  });
  return ['| Flag | Default | Value | Meaning | Variables |', '|---|---|---|---|---|', ...lines].join('\n');
}

function cell(value) {
  return value === '' ? '' : `\`${value}\``;
}

function legacyList(isRefused) {
  const entries = [...LEGACY_FLAGS].filter(([, flag]) => flag.isRefused === isRefused);
  const byReason = groupBy(entries, ([, {reason}]) => reason);
  return Object.entries(byReason)
    .map(([reason, flags]) => `- ${reason}: ${flags.map(([name]) => `\`${name}\``).join(', ')}`)
    .join('\n');
}

function groupBy(items, keyOf) {
  const groups = {};
  for (const item of items) {
    groups[keyOf(item)] ??= [];
    groups[keyOf(item)].push(item);
  }
  return groups;
}

// ---- Limits -------------------------------------------------------------------------------------------------

async function limitsPage() {
  const sections = [];
  for (const {title, path} of LIMIT_PAGES) {
    const values = await dist(`${path}.js`);
    const source = readFileSync(join(root, 'src', `${path}.ts`), 'utf8');
    sections.push(`## ${title}\n\n${limitSections(source, values)}`);
  }
  return `# Limits

${NOTE}

Every queue, batch, message and wait has a bound. Those that users may set are in [CONFIG.md](CONFIG.md).

${sections.join('\n\n')}
`;
}

/** A page's parts: `// ---- Name ---` begins one, a comment explains the constants behind it. */
function limitSections(source, values) {
  const parts = source.split(/^\/\/ ---- (.+?) -*$/m);
  const sections = [];
  const lead = limitRows(parts[0], values);
  if (lead.length > 0) sections.push(limitTable(lead));
  for (let at = 1; at < parts.length; at += 2) {
    const rows = limitRows(parts[at + 1], values);
    if (rows.length > 0) sections.push(`### ${parts[at]}\n\n${limitTable(rows)}`);
  }
  return sections.join('\n\n');
}

function limitTable(rows) {
  return ['| Limit | Value | Reason |', '|---|---|---|', ...rows].join('\n');
}

function limitRows(part, values) {
  const rows = [];
  let reason = '';
  for (const [, comment, name] of part.matchAll(/\/\*\*([\s\S]*?)\*\/|^export const ([A-Z0-9_]+) =/gm)) {
    if (comment !== undefined) reason = comment.replace(/\s*\n\s*\*?\s*/g, ' ').trim();
    else rows.push(`| \`${name}\` | ${shown(name, values[name])} | ${reason} |`);
  }
  return rows;
}

function shown(name, value) {
  if (typeof value !== 'number') return String(value);
  if (/(^|_)BYTES?(_|$)/.test(name)) return bytes(value);
  const number = value.toLocaleString('en-US');
  if (/_MS(_|$)/.test(name)) return `${number} ms`;
  return /_SECONDS(_|$)/.test(name) ? `${number} s` : number;
}

function bytes(value) {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ]) {
    if (value >= size && value % size === 0) return `${(value / size).toLocaleString('en-US')} ${unit}`;
  }
  return `${value.toLocaleString('en-US')} bytes`;
}
