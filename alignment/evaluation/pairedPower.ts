/** What a paired comparison could have shown: a difference that is not significant says little where the set is too small to show one. */
import type { Interval } from './intervals.ts';

/** Quantiles of the normal distribution: two-sided 5 %, and 80 % power. */
const [z95, z80] = [1.959963984540054, 0.8416212335729143];

/** A difference that matters. */
export const wantedDifference = 0.1;

/**
 * The smallest difference that a test at 5 % finds with 80 % probability, by the standard error that a 95 % interval of the difference tells: (1.96 + 0.84) standard errors
 * (Cohen 1988, chapter 2).
 */
export function smallestShown([low, high]: Interval): number {
  return ((z95 + z80) * (high - low)) / (2 * z95);
}

/**
 * Fewest pairs of yes and no that can show a difference `d` at 5 % with 80 % power: where all pairs that differ differ the same way (Connor 1987, with d as the share of
 * differing pairs). Below, no spread that was seen matters.
 */
export function fewestPairs(d = wantedDifference): number {
  return Math.ceil((z95 * Math.sqrt(d) + z80 * Math.sqrt(d - d ** 2)) ** 2 / d ** 2);
}

/** Undefined where the wanted difference could be shown. */
export function powerNote(interval: Interval, pairs: number): string | undefined {
  const shown = smallestShown(interval);
  if (pairs < fewestPairs())
    return `too few (${pairs}) to show a difference of ${wantedDifference.toFixed(2)} at 80 % power: ${fewestPairs()} at least`;
  return shown > wantedDifference
    ? `a difference below ${shown.toFixed(2)} can't be shown at 80 % power with ${pairs}`
    : undefined;
}
