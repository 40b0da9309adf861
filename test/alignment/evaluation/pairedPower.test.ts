import { describe, expect, it } from 'vitest';
import { fewestPairs, powerNote, smallestShown } from '../../../alignment/evaluation/pairedPower.ts';

describe('power of a paired comparison', () => {
  it('is told by the standard error: (1.96 + 0.84) of it are found with 80 %', () => {
    // The interval is 0.4 wide: a standard error of 0.4 / 3.92 = 0.10204.
    expect(smallestShown([-0.1, 0.3])).toBeCloseTo(2.801585 * 0.1020427, 5);
    expect(smallestShown([0.2, 0.2])).toBe(0);
  });

  it('needs 77 pairs for a difference of .10 even where all that differ differ the same way', () => {
    // (1.959964 * sqrt(.1) + .841621 * sqrt(.09))^2 / .01 = .872281^2 / .01 = 76.09
    expect(fewestPairs()).toBe(77);
    // (1.959964 * sqrt(.5) + .841621 * sqrt(.25))^2 / .25 = 1.806714^2 / .25 = 13.06
    expect(fewestPairs(0.5)).toBe(14);
  });

  it('is noted where .10 could not be shown, and only there', () => {
    expect(powerNote([0, 0], 76)).toBe('too few (76) to show a difference of 0.10 at 80 % power: 77 at least');
    expect(powerNote([0, 0], 77)).toBeUndefined();
    // 0.2 wide: 0.143.
    expect(powerNote([-0.1, 0.1], 200)).toBe("a difference below 0.14 can't be shown at 80 % power with 200");
    // 0.13 wide: 0.093.
    expect(powerNote([0, 0.13], 400)).toBeUndefined();
  });
});
