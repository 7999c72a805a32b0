/**
 * A module loader that gives some files another text than they have on disk: `node --import ./loader.js …` with
 * KVD_MUTATED_SOURCES, a JSON object from file URL to text. It stands before tsx, so the text is TypeScript. Plain
 * JavaScript, since it runs before anything could strip types.
 */

import {register} from 'node:module';
import {isMainThread} from 'node:worker_threads';

const sources = new Map(Object.entries(JSON.parse(process.env.KVD_MUTATED_SOURCES ?? '{}')));

// Hooks run in a thread of their own, which loads this file once more.
if (isMainThread && sources.size > 0) register(import.meta.url);

export async function load(url, context, nextLoad) {
  const source = sources.get(url.split('?')[0]);
  if (source === undefined) return nextLoad(url, context);
  return {format: 'module', source, shortCircuit: true};
}
