/**
 * `npm test`: everything that must be green. Builds, checks types and style, runs all tests, and closes with the
 * true count as `N passed, N failed`; each step before the tests counts as one.
 */

import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync} from 'node:fs';
import {join, relative, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const results = join(root, '.test-results');
rmSync(results, {recursive: true, force: true});
mkdirSync(results);

const count = {passed: 0, failed: 0};
/** Names of what failed, printed at the end: the log of a whole run is long. */
const failures = [];

step('build', 'node', ['scripts/build.js']);
step('types', 'npx', ['tsc', '-p', 'tsconfig.check.json']);
step('style', 'npx', ['biome', 'check', '.']);
for (const project of ['code', 'simulator', 'process']) tests(project);

for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;

/** @param {string} name @param {string} command @param {string[]} args */
function step(name, command, args) {
  console.log(`== ${name}`);
  const {status} = spawnSync(command, args, {cwd: root, stdio: 'inherit'});
  if (status === 0) count.passed++;
  else fail(name);
}

/** @param {string} name */
function fail(name) {
  count.failed++;
  failures.push(name);
}

/** @param {string} project of vitest.config.ts */
function tests(project) {
  console.log(`== tests: ${project}`);
  const report = join(results, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const {status} = spawnSync('npx', ['vitest', 'run', '--project', project, ...reporters], {
    cwd: root,
    stdio: 'inherit',
  });
  let isReported = false;
  try {
    const {numPassedTests, testResults} = JSON.parse(readFileSync(report, 'utf8'));
    count.passed += numPassedTests;
    for (const {name, assertionResults} of testResults) {
      for (const {status: outcome, fullName} of assertionResults) {
        if (outcome !== 'failed') continue;
        isReported = true;
        fail(`${relative(root, name)}: ${fullName}`);
      }
    }
  } catch (error) {
    console.error(`no report of the ${project} tests: ${error}`);
  }
  // A file that cannot be loaded, or an error outside a test, fails the run without a failed test.
  if (status !== 0 && !isReported) fail(`${project} tests, outside of a test`);
}
