/** Which branches of the sources ran, by the engine's own counters. Begins before the sources are loaded. */

import {type Profiler, Session} from 'node:inspector';
import {relative} from 'node:path';
import {fileURLToPath} from 'node:url';

export interface FileCoverage {
  /** From the project's root. */
  readonly path: string;
  readonly branches: number;
  readonly taken: number;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export class BranchCoverage {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', {callCount: true, detailed: true});
  }

  /** Of every file under src that was loaded, by path. */
  take(): FileCoverage[] {
    let scripts: Profiler.ScriptCoverage[] = [];
    // Its answer comes before the call returns.
    this.#session.post('Profiler.takePreciseCoverage', (_error, {result}) => {
      scripts = result;
    });
    return scripts
      .filter(({url}) => url.startsWith('file:') && relative(ROOT, fileURLToPath(url)).startsWith('src/'))
      .map(({url, functions}) => {
        // The first one is the module itself. A function that never ran counts as one branch.
        const ranges = functions.slice(1).flatMap((one) => one.ranges);
        const path = relative(ROOT, fileURLToPath(url.replace(/\?.*$/, '')));
        return {path, branches: ranges.length, taken: ranges.filter(({count}) => count > 0).length};
      })
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}
