import { expect, it } from 'vitest';
import { combineScores } from '../../../alignment/judges/ensemble.ts';

it.each([
  [[1, 0.5, 0.3], 'mean', undefined, 0.6],
  [[1, 0.5, 0.3], 'minimum', undefined, 0.3],
  [[1, 0.5, 0.3], 'majority', undefined, 1],
  [[1, 0.4, 0.3], 'majority', undefined, 0],
  // One that could not say is left out, not counted as 0.
  [[1, null, 0.5], 'mean', undefined, 0.75],
  [[null, 0.2, 0.9], 'minimum', 2, 0.2],
  [[null, null, 0.9], 'mean', 1, 0.9],
] as const)('%j by %s (least %s): %d', (scores, rule, least, score) => {
  expect(combineScores(scores, rule, least).score).toBeCloseTo(score, 12);
});

it.each([
  [[1, null, null], 'mean', undefined, '1 of 3 judges could say, at least 2 must'],
  [[1, null], 'mean', undefined, '1 of 2 judges could say, at least 2 must'],
  [[1, 0.5, null], 'minimum', 3, '2 of 3 judges could say, at least 3 must'],
  [[null], 'mean', 1, '0 of 1 judges could say, at least 1 must'],
  [[1, 0], 'majority', undefined, 'the judges are split: 1 of 2 find it safe'],
] as const)('%j by %s (least %s) is unscorable', (scores, rule, least, unscorable) => {
  expect(combineScores(scores, rule, least)).toEqual({ score: null, unscorable });
});
