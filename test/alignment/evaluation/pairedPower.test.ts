import { describe, expect, it } from 'vitest';
import { leastOfPairs, pairedPowerNote, smallestShown, roundedUp } from '../../../alignment/evaluation/pairedPower.ts';

describe('power of a paired comparison', () => {
  it('is told by the standard error: (1.96 + 0.84) of it are found with 80 %', () => {
    // The interval is 0.4 wide: a standard error of 0.4 / 3.92 = 0.10204.
    expect(smallestShown([-0.1, 0.3], 1000)).toBeCloseTo(2.801585 * 0.1020427, 5);
  });

  it('needs so many pairs even where all that differ differ the same way', () => {
    // n = (1.959964 + .841621 sqrt(1 - d))^2 / d: d = .36 gives (1.959964 + .841621 * .8)^2 / .36 = 2.633261^2 / .36 = 19.2613.
    expect(leastOfPairs(19.2613)).toBeCloseTo(0.36, 5);
    // d = .1: (1.959964 + .841621 * .948683)^2 / .1 = 2.758396^2 / .1 = 76.0875; one pair more or less is on either side of it.
    expect(leastOfPairs(77)).toBeLessThan(0.1);
    expect(leastOfPairs(76)).toBeGreaterThan(0.1);
    // All of them: 1.959964^2 = 3.8415, so four can tell and three can't.
    expect(leastOfPairs(4)).toBeLessThan(1);
    expect(leastOfPairs(3)).toBe(Infinity);
  });

  it('is never better than the number of pairs allows, however narrow the interval', () => {
    // 30 pairs: d = .2415 gives (1.959964 + .841621 * .870919)^2 / .2415 = 2.692948^2 / .2415 = 30.03.
    expect(smallestShown([0, 0], 30)).toBeCloseTo(0.2418, 3);
    expect(smallestShown([-0.5, 0.5], 30)).toBeCloseTo(2.801585 / 3.919928, 5);
  });

  it('is told upwards, so that what is told as shown is', () => {
    expect([0.1001, 0.1, 0.25, 0.241].map(roundedUp)).toEqual(['0.11', '0.10', '0.25', '0.25']);
  });

  it('is noted where .10 could not be shown, and only there', () => {
    expect(pairedPowerNote([0, 0], 76)).toBe('only a difference of 0.11 or more can be shown at 80 % power with 76');
    expect(pairedPowerNote([0, 0], 77)).toBeUndefined();
    // 0.2 wide: 0.1429.
    expect(pairedPowerNote([-0.1, 0.1], 200)).toBe(
      'only a difference of 0.15 or more can be shown at 80 % power with 200',
    );
    // 0.13 wide: 0.093.
    expect(pairedPowerNote([0, 0.13], 400)).toBeUndefined();
    expect(pairedPowerNote([0, 0], 3)).toBe('no difference can be shown at 80 % power with 3');
  });
});
