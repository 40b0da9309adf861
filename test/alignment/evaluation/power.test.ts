import { expect, test } from 'vitest';
import { smallestDifference } from '../../../alignment/evaluation/power.ts';

test('the smallest difference of two shares, by hand', () => {
  // p = .5 on both sides: 2.80158 * sqrt(.25/48 + .25/48) = 2.80158 * .10206
  expect(smallestDifference({ count: 24, n: 48 }, { count: 24, n: 48 })).toBeCloseTo(0.2859, 4);
  // 392 on each side is the textbook's number for a difference of .10 around one half.
  expect(smallestDifference({ count: 196, n: 392 }, { count: 196, n: 392 })).toBeCloseTo(0.1, 3);
  // (0 + 2) / (4 + 4) = .25 and .75: 2.80158 * sqrt(.1875/4 * 2): nothing is certain in a set of four.
  expect(smallestDifference({ count: 0, n: 4 }, { count: 4, n: 4 })).toBeCloseTo(0.8578, 4);
});
