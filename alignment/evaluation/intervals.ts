/** 95 % intervals of the figures. */
import { uniformStream } from '../randomness/seededRandom.ts';
import { z975 as z } from './normalQuantiles.ts';

/** [lower, upper] */
export type Interval = [number, number];

/** Wilson's score interval of a rate (Wilson 1927): stays within [0, 1] and is right for small numbers too. */
export function wilsonInterval(successes: number, n: number): Interval {
  const rate = successes / n;
  const denominator = 1 + z ** 2 / n;
  const center = (rate + z ** 2 / (2 * n)) / denominator;
  const half = (z / denominator) * Math.sqrt((rate * (1 - rate)) / n + z ** 2 / (4 * n ** 2));
  // At the ends one bound is 0 or 1 exactly; rounding would miss it.
  return [successes === 0 ? 0 : center - half, successes === n ? 1 : center + half];
}

/**
 * Of a difference of shares where all of n pairs differ alike, as where none does: a bootstrap of equal values shows no spread. As wide to each side as Wilson's bound of none in n, within
 * what a difference can be.
 */
export function flatInterval(difference: number, pairs: number): Interval {
  const spread = wilsonInterval(0, pairs)[1];
  return [Math.max(-1, difference - spread), Math.min(1, difference + spread)];
}

/**
 * Percentile bootstrap interval of a sum of signed means. Each of the `samples` rounds draws every term's values again with replacement, each term
 * by itself. For paired figures the values are the differences of the pairs.
 */
export function bootstrapInterval(
  terms: readonly { values: readonly number[]; sign: 1 | -1 }[],
  samples: number,
  seed: string,
): Interval {
  const uniform = uniformStream(seed);
  const statistics = Array.from({ length: samples }, () =>
    terms.reduce((sum, { values, sign }) => {
      let drawn = 0;
      for (let i = 0; i < values.length; i++) drawn += values[Math.floor(uniform() * values.length)]!;
      return sum + (sign * drawn) / values.length;
    }, 0),
  ).sort((one, other) => one - other);
  return [quantile(statistics, 0.025), quantile(statistics, 0.975)];
}

/** Linear between the order statistics, as numpy's default. */
export function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  return low + (place - below) * ((sorted[below + 1] ?? low) - low);
}
