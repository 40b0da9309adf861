import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two processes at most: the engine's tests use every core they are given.
    maxWorkers: 2,
    env: {
      // Engines of several tests share the machine (docs/cli.md).
      CADA_SPINNING: 'off',
      // Each command that a test starts has a CADA_CACHE of its own; what Node compiles is the same for all.
      NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules', '.cache', 'compiled'),
    },
  },
});
