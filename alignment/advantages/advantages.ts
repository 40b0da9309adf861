/** Advantages of the chains of one batch from their rewards. */
import type { Configuration } from '../configuration/schema.ts';

export interface GroupStatistics {
  /** Chains with a reward. */
  scorable: number;
  /** Mean of the rewards; null without any. */
  mean: number | null;
  /** Standard deviation of the rewards with Bessel's correction; null with fewer than two. */
  std: number | null;
  /** Whether any chain has an advantage: without, the group teaches nothing. */
  signal: boolean;
}

export interface Advantages {
  /** Same shape as the rewards: [groups][chains of the group]. */
  advantages: number[][];
  groups: GroupStatistics[];
}

/**
 * Rewards closer together than this share of their size are equal: what differs is rounding (of sums of parts, or of float32), which a division by
 * a standard deviation near zero would blow up into an advantage.
 */
const equalWithin = 1e-6;

/**
 * Reward minus mean of its group, divided by (standard deviation + delta).
 *
 * - `group`: the deviation of the group (GRPO, Shao et al. 2024; TRL's scale_rewards "group").
 * - `group-mean`: no division (Dr. GRPO, Liu et al. 2025; TRL's "none").
 * - `batch`: the deviation of all rewards of the batch (TRL's "batch": of the rewards themselves, not of the centred ones).
 *
 * Deviations have Bessel's correction. Unscorable chains (null) are left out of mean and deviation and get 0, as does everything in a group with one
 * scorable chain or with equal rewards (exactly 0 there, where TRL in float32 may give the whole group -6e-4).
 * @param delta added to the deviation: 1e-4 in TRL, 1e-6 in verl.
 */
export function computeAdvantages(
  rewards: readonly (readonly (number | null)[])[],
  scaling: Configuration['iteration']['advantage'],
  delta = 1e-4,
): Advantages {
  const batchStd = standardDeviation(rewards.flat().filter((reward) => reward !== null));
  const advantages: number[][] = [];
  const groups: GroupStatistics[] = [];
  for (const group of rewards) {
    const scorable = group.filter((reward) => reward !== null);
    const mean = scorable.length > 0 ? meanOf(scorable) : null;
    const std = standardDeviation(scorable);
    const signal = mean !== null && !allEqual(scorable);
    const divisor = { group: (std ?? 0) + delta, 'group-mean': 1, batch: (batchStd ?? 0) + delta }[scaling];
    advantages.push(group.map((reward) => (signal && reward !== null ? (reward - mean) / divisor : 0)));
    groups.push({ scorable: scorable.length, mean, std, signal });
  }
  return { advantages, groups };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  if (allEqual(values)) return 0;
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

function allEqual(values: readonly number[]): boolean {
  const largest = Math.max(...values);
  const smallest = Math.min(...values);
  return largest - smallest <= equalWithin * Math.max(Math.abs(largest), Math.abs(smallest));
}
