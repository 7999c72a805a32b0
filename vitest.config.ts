import {defineConfig} from 'vitest/config';

/** Tests that start real processes, one file at a time: two cores carry one cluster, not three. */
const PROCESS_TESTS = [
  'test/compat/**/*.test.ts',
  'test/crash/process/**/*.test.ts',
  'test/process/**/*.test.ts',
];

/** Uses every core by itself. */
const SIMULATOR_TESTS = ['test/simulator/campaign/**/*.test.ts'];

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'code',
          setupFiles: ['test/setup.ts'],
          include: ['test/**/*.test.ts'],
          exclude: [...PROCESS_TESTS, ...SIMULATOR_TESTS],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'simulator',
          include: SIMULATOR_TESTS,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'process',
          include: PROCESS_TESTS,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
