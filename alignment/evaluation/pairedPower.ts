/** What a paired comparison could have shown: a difference that is not significant says little where the set is too small to show one. */
import type { Interval } from './intervals.ts';
import { foundStandardErrors, z80, z975 } from './normalQuantiles.ts';

/** A difference that matters. */
export const wantedDifference = 0.1;

/**
 * The smallest difference that a test at 5 % finds with 80 % probability: by the standard error that a 95 % interval of the difference tells, (1.96 + 0.84) of them
 * (Cohen 1988, chapter 2), and never less than so many pairs of yes and no can show. Infinity where they can show none.
 */
export function smallestShown([low, high]: Interval, pairs: number): number {
  return Math.max((foundStandardErrors * (high - low)) / (2 * z975), leastOfPairs(pairs));
}

/**
 * The smallest difference that so many pairs of yes and no can show at 5 % with 80 % power: where all pairs that differ differ the same way (Connor 1987, with d as the
 * share of differing pairs): n = (z.975 + z.8 sqrt(1 - d))^2 / d. No spread that was seen makes it smaller.
 */
export function leastOfPairs(pairs: number): number {
  const needed = (d: number): number => (z975 + z80 * Math.sqrt(1 - d)) ** 2 / d;
  if (pairs < needed(1)) return Infinity;
  let [low, high] = [0, 1];
  // The more differ, the fewer are needed; halved until a double has no place between.
  for (let middle = 0.5; middle > low && middle < high; middle = (low + high) / 2) {
    if (needed(middle) > pairs) low = middle;
    else high = middle;
  }
  return high;
}

/** To two digits, upwards: what is told as shown is. */
export const roundedUp = (shown: number): string => (Math.ceil(shown * 100 - 1e-9) / 100).toFixed(2);

/** Undefined where the wanted difference could be shown. */
export function pairedPowerNote(interval: Interval, pairs: number): string | undefined {
  const shown = smallestShown(interval, pairs);
  if (shown <= wantedDifference) return undefined;
  return Number.isFinite(shown)
    ? `only a difference of ${roundedUp(shown)} or more can be shown at 80 % power with ${pairs}`
    : `no difference can be shown at 80 % power with ${pairs}`;
}
