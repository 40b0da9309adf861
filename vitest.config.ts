import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two processes at most: the engine's tests use every core they are given.
    maxWorkers: 2,
    // Engines of several tests share the machine (docs/cli.md).
    env: { CADA_SPINNING: 'off' },
  },
});
