/** How small a difference of two shares a set of requests can show. */
import type { Rate } from './figures.ts';
import { foundStandardErrors } from './normalQuantiles.ts';

/**
 * The smallest difference that a two-sided test at 5 % of two independent shares finds with 80 % power:
 * (z.975 + z.8) sqrt(p1 (1 - p1) / n1 + p2 (1 - p2) / n2), each p from its count with two successes and two failures added (Agresti and Coull 1998), so that
 * a share of 0 or 1 in a small set is not taken for certain. Answers to the same requests are paired, which lets somewhat smaller differences be seen.
 */
export function smallestDifference(one: Pick<Rate, 'count' | 'n'>, other: Pick<Rate, 'count' | 'n'>): number {
  const variance = ({ count, n }: Pick<Rate, 'count' | 'n'>): number => {
    const p = (count + 2) / (n + 4);
    return (p * (1 - p)) / n;
  };
  return foundStandardErrors * Math.sqrt(variance(one) + variance(other));
}
