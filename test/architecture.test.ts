/** The law of the folders (docs/ARCHITECTURE.md): imports point down, the engine is pure, no cycles. */

import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative, resolve} from 'node:path';
import {describe, expect, it} from 'vitest';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

/** From the top down; a file may import from its own layer and from those below. */
const LAYERS: readonly (readonly string[])[] = [
  ['src/commands'],
  ['src/start-server.ts'],
  ['src/transport/api', 'src/transport/client'],
  [
    'src/transport/peer',
    'src/transport/http2',
    'src/transport/proto',
    'src/transport/eager-poll.ts',
    'src/transport/listen-error.ts',
    'src/transport/tls.ts',
    'src/engine/io',
  ],
  ['src/config.ts', 'src/config'],
  ['src/engine/server'],
  ['src/engine/watch', 'src/engine/storage'],
  ['src/engine/raft', 'src/engine/state-machine'],
  ['src/engine/ports.ts'],
  ['src/engine/types.ts', 'src/engine/errors.ts', 'src/engine/limits.ts', 'src/engine/version.ts'],
  ['src/engine/lib'],
];

/** Places of one layer that must not know each other. */
const STRANGERS: readonly (readonly [string, string])[] = [
  ['src/engine/raft', 'src/engine/state-machine'],
  ['src/engine/state-machine', 'src/engine/raft'],
  ['src/engine/watch', 'src/engine/storage'],
  ['src/engine/storage', 'src/engine/watch'],
  ['src/transport/http2', 'src/transport/proto'],
  ['src/transport/http2', 'src/engine/io'],
  ['src/transport/proto', 'src/transport/http2'],
  ['src/transport/proto', 'src/engine/io'],
  ['src/transport/client', 'src/transport/api'],
  ['src/transport/client', 'src/transport/peer'],
];

const MAY_IMPORT_PACKAGES = ['src/engine/io', 'src/transport', 'src/commands', 'src/start-server.ts'];
const LIB_PACKAGES = new Set(['sorted-btree']);

const PURE = ['src/engine/raft', 'src/engine/state-machine'];
const NO_GLOBALS = [...PURE, 'src/engine/watch', 'src/engine/storage', 'src/engine/server', 'src/engine/lib'];
const BANNED_GLOBALS =
  /\b(Date\.now|new Date\b|performance\.|Math\.random|crypto\.|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|WeakRef|FinalizationRegistry|localeCompare|Intl\.)/;

interface Source {
  readonly path: string;
  readonly imports: readonly string[];
  readonly code: string;
}

const sources = readdirSync(src, {recursive: true, encoding: 'utf8'})
  .filter((name) => name.endsWith('.ts') && !name.includes('generated'))
  .map((name) => readSource(join(src, name)));

function readSource(file: string): Source {
  const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
  const specifiers = [...code.matchAll(/(?:from\s+|import\s*\(\s*|^import\s+)'([^']+)'/gm)].map((m) => m[1]);
  const imports = specifiers.map((specifier) =>
    specifier.startsWith('.') ? relative(root, resolve(dirname(file), specifier)) : specifier,
  );
  return {path: relative(root, file), imports, code};
}

const isWithin = (path: string, place: string) => path === place || path.startsWith(`${place}/`);
const layerOf = (path: string) => LAYERS.findIndex((places) => places.some((place) => isWithin(path, place)));
const isLocal = (specifier: string) => specifier.startsWith('src/');

describe('architecture', () => {
  it('Ensure that every file belongs to a layer.', () => {
    expect(sources.filter(({path}) => layerOf(path) < 0).map(({path}) => path)).toEqual([]);
  });

  it('Ensure that imports only point down the list of layers.', () => {
    const wrong = sources.flatMap(({path, imports}) =>
      imports
        .filter((target) => isLocal(target) && layerOf(target) < layerOf(path))
        .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('Ensure that neighbours in a layer that must not know each other do not.', () => {
    const wrong = sources.flatMap(({path, imports}) =>
      imports
        .filter((target) => STRANGERS.some(([from, to]) => isWithin(path, from) && isWithin(target, to)))
        .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('Ensure that only the edges import node modules and packages.', () => {
    const wrong = sources.flatMap(({path, imports}) =>
      MAY_IMPORT_PACKAGES.some((place) => isWithin(path, place))
        ? []
        : imports
            .filter((target) => !isLocal(target))
            .filter((target) => !(isWithin(path, 'src/engine/lib') && LIB_PACKAGES.has(target)))
            .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('Ensure that there are no import cycles.', () => {
    const graph = new Map(sources.map(({path, imports}) => [path, imports.filter(isLocal)]));
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === 'done') return;
      if (state.get(path) === 'open') {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
        return;
      }
      state.set(path, 'open');
      for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
      state.set(path, 'done');
    };
    for (const {path} of sources) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it('Ensure that the engine reads no clock, chance or environment of its own.', () => {
    const wrong = sources
      .filter(({path}) => NO_GLOBALS.some((place) => isWithin(path, place)))
      .flatMap(({path, code}) => {
        const found = BANNED_GLOBALS.exec(code);
        return found === null ? [] : [`${path}: ${found[0]}`];
      });
    expect(wrong).toEqual([]);
  });

  it('Ensure that raft and the state machine never await.', () => {
    const wrong = sources
      .filter(({path}) => PURE.some((place) => isWithin(path, place)))
      .filter(({code}) => /\b(async|await|Promise)\b/.test(code))
      .map(({path}) => path);
    expect(wrong).toEqual([]);
  });

  it('Ensure that no file outgrows 500 lines and that nothing but a command has a default export.', () => {
    const wrong = sources.flatMap(({path, code}) => [
      ...(readFileSync(join(root, path), 'utf8').split('\n').length > 501 ? [`${path}: too long`] : []),
      ...(/^export default/m.test(code) && !isWithin(path, 'src/commands')
        ? [`${path}: default export`]
        : []),
    ]);
    expect(wrong).toEqual([]);
  });
});
