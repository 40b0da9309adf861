/** When a comparison supports a claim and when it contradicts it. */
import type { Interval } from '../evaluation/intervals.ts';
import { decisiveP, type HypothesisPart } from './hypothesisSchema.ts';
import { rounding } from './resampling.ts';

export type Verdict = 'supported' | 'contradicted' | 'undecided';

/** A comparison in numbers, before the study's other comparisons are known. */
export interface Measured {
  effect: number;
  interval: Interval;
  n: number;
  p: number;
  /** Of each question. */
  differences: number[];
  /** 1 or -1: times the effect it is above 0 where the claim is right, or where the figure is better (`changes`: as seen). */
  sense: 1 | -1;
}

/**
 * With effect and interval turned so that what is claimed is above 0, and bound = 0, of `no-worse` -margin:
 * supported: the interval lies wholly above the bound, p (Holm) < .05, and of the other directions the effect is at least the margin, if there is one;
 * contradicted: the interval lies wholly below the bound, and p (Holm) < .05; never of `changes`, which has no other way;
 * undecided otherwise.
 */
export function verdictOf(part: HypothesisPart, { effect, interval, sense }: Measured, pHolm: number): Verdict {
  if (pHolm >= decisiveP) return 'undecided';
  const { direction, margin = 0 } = part;
  const [low, high] = turned(interval, sense);
  const bound = boundOf(part);
  const large = direction === 'no-worse' || sense * effect >= margin - rounding;
  if (low > bound + rounding && large) return 'supported';
  return high < bound - rounding && direction !== 'changes' ? 'contradicted' : 'undecided';
}

export const boundOf = ({ direction, margin = 0 }: HypothesisPart): number => (direction === 'no-worse' ? -margin : 0);

export const turned = ([low, high]: Interval, sense: 1 | -1): Interval => (sense === 1 ? [low, high] : [-high, -low]);
