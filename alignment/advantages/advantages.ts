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

type Scaling = Configuration['iteration']['advantage'];

/** What is taken off a reward, and what the result is divided by. */
interface Rule {
  baseline: 'group' | 'others' | 'none';
  deviation: 'none' | 'group' | 'rewards' | 'differences' | 'tokens';
  /** Added to the deviation: 1e-4 in TRL, 1e-6 in verl, 1e-8 in the formulas of REINFORCE++. */
  delta: number;
}

const rules: Record<Scaling, Rule> = {
  group: { baseline: 'group', deviation: 'group', delta: 1e-4 },
  'group-mean': { baseline: 'group', deviation: 'none', delta: 0 },
  batch: { baseline: 'group', deviation: 'rewards', delta: 1e-4 },
  'leave-one-out': { baseline: 'others', deviation: 'none', delta: 0 },
  'leave-one-out-batch': { baseline: 'others', deviation: 'differences', delta: 1e-4 },
  whitened: { baseline: 'none', deviation: 'differences', delta: 1e-8 },
  'group-mean-whitened': { baseline: 'group', deviation: 'differences', delta: 1e-8 },
  'token-whitened': { baseline: 'none', deviation: 'tokens', delta: 1e-8 },
  none: { baseline: 'none', deviation: 'none', delta: 0 },
};

/**
 * Reward minus a baseline, divided by (standard deviation + delta).
 *
 * - `group`: mean and deviation of the group (GRPO, Shao et al. 2024; TRL's scale_rewards "group").
 * - `group-mean`: mean of the group, no division (Dr. GRPO, Liu et al. 2025; TRL's "none").
 * - `batch`: mean of the group, deviation of all rewards of the batch (TRL's "batch": of the rewards themselves, not of the centred ones).
 * - `leave-one-out`: mean of the other chains of the group, no division (RLOO, Ahmadian et al. 2024).
 * - `leave-one-out-batch`: the same, divided by the deviation of these differences over the batch (TRL's RLOO with normalize_advantages).
 * - `whitened`: mean and deviation of all rewards of the batch (REINFORCE++, Hu et al. 2025).
 * - `group-mean-whitened`: mean of the group, then the deviation of these differences over the batch (REINFORCE++-baseline).
 * - `token-whitened`: like `whitened`, each chain counting as often as it has tokens (OpenRLHF's and verl's REINFORCE++); sqrt(variance + delta).
 * - `none`: the reward itself (REINFORCE).
 *
 * Deviations have Bessel's correction. Unscorable chains (null) are left out of mean and deviation and get 0. Where the group is the baseline, so does
 * everything in a group with one scorable chain or with equal rewards (exactly 0 there, where TRL in float32 may give the whole group -6e-4).
 * @param options.delta replaces the number that is added to the deviation.
 * @param options.tokens completion tokens of each chain, in the shape of the rewards: needed by `token-whitened`.
 */
export function computeAdvantages(
  rewards: readonly (readonly (number | null)[])[],
  scaling: Scaling,
  options: { delta?: number; tokens?: readonly (readonly number[])[] } = {},
): Advantages {
  const rule = rules[scaling];
  const delta = options.delta ?? rule.delta;
  const statistics = rewards.map((group) => {
    const scorable = group.filter((reward) => reward !== null);
    const mean = scorable.length > 0 ? meanOf(scorable) : null;
    return { scorable: scorable.length, mean, std: standardDeviation(scorable), equal: allEqual(scorable) };
  });
  const differences = rewards.map((group, g) => {
    const { mean, scorable, equal } = statistics[g]!;
    return group.map((reward) => {
      if (reward === null || mean === null) return null;
      if (rule.baseline === 'none') return reward;
      if (equal) return 0;
      // The mean of the others is that of all, moved away from the reward by 1 / (n - 1) of its distance.
      return rule.baseline === 'group' ? reward - mean : ((reward - mean) * scorable) / (scorable - 1);
    });
  });
  const { mean, divisor } = normaliser(rule, delta, rewards, differences, options.tokens);
  const advantages = differences.map((group, g) =>
    group.map((difference) => {
      const advantage = difference === null ? 0 : (difference - mean) / (divisor ?? (statistics[g]!.std ?? 0) + delta);
      return advantage === 0 ? 0 : advantage; // never -0
    }),
  );
  return {
    advantages,
    groups: statistics.map(({ scorable, mean: groupMean, std }, g) => ({
      scorable,
      mean: groupMean,
      std,
      signal: advantages[g]!.some((advantage) => advantage !== 0),
    })),
  };
}

/** What is taken off the differences of the whole batch, and what they are divided by (undefined: by something of each group). */
function normaliser(
  { baseline, deviation }: Rule,
  delta: number,
  rewards: readonly (readonly (number | null)[])[],
  differences: readonly (readonly (number | null)[])[],
  tokens: readonly (readonly number[])[] | undefined,
): { mean: number; divisor: number | undefined } {
  const known = (values: readonly (readonly (number | null)[])[]) => values.flat().filter((value) => value !== null);
  switch (deviation) {
    case 'none':
      return { mean: 0, divisor: 1 };
    case 'group':
      return { mean: 0, divisor: undefined };
    case 'rewards':
      return { mean: 0, divisor: (standardDeviation(known(rewards)) ?? 0) + delta };
    case 'differences': {
      // A reward that is alone has no other to be compared with: it is no difference.
      const counted = known(
        baseline === 'others' ? differences.filter((_group, g) => known([rewards[g]!]).length > 1) : differences,
      );
      const std = standardDeviation(counted);
      // Differences from the own group add up to 0.
      return { mean: baseline === 'none' && counted.length > 0 ? meanOf(counted) : 0, divisor: divisorOf(std, delta) };
    }
    case 'tokens': {
      if (!tokens) throw new Error("advantages 'token-whitened' need the number of tokens of each chain");
      const counts = differences.flatMap((group, g) => group.map((value, i) => (value === null ? 0 : tokens[g]![i]!)));
      const values = differences.flat().map((value) => value ?? 0);
      const weighted = (valueOf: (value: number) => number) =>
        values.reduce((sum, value, i) => sum + counts[i]! * valueOf(value), 0);
      const all = weighted(() => 1);
      if (all < 2) return { mean: 0, divisor: Infinity };
      const mean = weighted((value) => value) / all;
      const equal = allEqual(values.filter((_value, i) => counts[i]! > 0));
      const variance = equal ? null : weighted((value) => (value - mean) ** 2) / (all - 1);
      return { mean, divisor: variance === null ? Infinity : Math.sqrt(variance + delta) };
    }
  }
}

/** Infinity where there is nothing to compare: all advantages are then 0. */
function divisorOf(std: number | null, delta: number): number {
  return std ? std + delta : Infinity;
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
