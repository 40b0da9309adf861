import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { spins } from '../../../engine/session/session.ts';

test('threads spin where there are several, a core for each, and nobody says off', () => {
  const cores = availableParallelism();
  expect(spins(2, {})).toBe(cores >= 2);
  expect(spins(1, {})).toBe(false);
  expect(spins(cores + 1, {})).toBe(false);
  expect(spins(2, { CADA_SPINNING: 'off' })).toBe(false);
});
