/**
 * `npm test`: everything that must be green. Builds, checks types and style, runs all tests, and closes with the
 * true count as `N passed, N failed`; each step before the tests counts as one.
 */

import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync} from 'node:fs';
import {join, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const results = join(root, '.test-results');
rmSync(results, {recursive: true, force: true});
mkdirSync(results);

const count = {passed: 0, failed: 0};

step('build', 'node', ['scripts/build.js']);
step('types', 'npx', ['tsc', '-p', 'tsconfig.check.json']);
step('style', 'npx', ['biome', 'check', '.']);
for (const project of ['code', 'process']) tests(project);

console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;

/** @param {string} name @param {string} command @param {string[]} args */
function step(name, command, args) {
  console.log(`== ${name}`);
  const {status} = spawnSync(command, args, {cwd: root, stdio: 'inherit'});
  if (status === 0) count.passed++;
  else count.failed++;
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
  let failed = 0;
  try {
    const {numPassedTests, numFailedTests} = JSON.parse(readFileSync(report, 'utf8'));
    count.passed += numPassedTests;
    failed = numFailedTests;
  } catch (error) {
    console.error(`no report of the ${project} tests: ${error}`);
  }
  // A file that cannot be loaded, or an error outside a test, fails the run without a failed test.
  count.failed += status !== 0 && failed === 0 ? 1 : failed;
}
