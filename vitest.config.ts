import {defineConfig} from 'vitest/config';

/** Tests that start real processes, one file at a time: two cores carry one cluster, not three. */
const PROCESS_TESTS = ['test/compat/**/*.test.ts', 'test/process/**/*.test.ts'];

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'code',
          setupFiles: ['test/setup.ts'],
          include: ['test/**/*.test.ts'],
          exclude: PROCESS_TESTS,
          testTimeout: 30_000,
          hookTimeout: 60_000,
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
