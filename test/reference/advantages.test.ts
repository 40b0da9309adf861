/** Advantages against the numbers of TRL (float64). */
import { expect, it } from 'vitest';
import { computeAdvantages } from '../../alignment/advantages/advantages.ts';
import { absoluteError, describeCases, goldenArrays, largestOf } from './golden.ts';

interface AdvantagesCase {
  group_size: number;
  reward_weights: number[];
  tolerance: { 'float64 engine': number };
  arrays: Record<'expected.safetensors', Record<string, unknown>>;
}

/** Our name of each way to compute advantages from one reward. */
const SCALINGS = {
  grpo_group_f64: 'group',
  grpo_batch_f64: 'batch',
  grpo_none_f64: 'group-mean',
  rloo_f64: 'leave-one-out',
  rloo_normalized_f64: 'leave-one-out-batch',
  reinforce_pp_f64: 'whitened',
  reinforce_pp_baseline_f64: 'group-mean-whitened',
  reinforce_pp_token_whitened_f64: 'token-whitened',
} as const;

/** [groups][chains]; NaN = unscorable. */
type Rewards = number[][];

describeCases<AdvantagesCase>('advantages', 'advantages as TRL computes them', (golden) => {
  const { info } = golden;
  const arrays = Object.keys(info.arrays['expected.safetensors']).filter((name) => name.endsWith('_f64'));

  it.each(arrays)('%s', async (array) => {
    const inputs = await goldenArrays(golden, 'inputs.safetensors');
    const grouped = async (name: string) => {
      const flat = [...(await inputs.read(name))];
      const size = info.group_size;
      return Array.from({ length: flat.length / size }, (_group, i) => flat.slice(i * size, (i + 1) * size));
    };
    const rewards = await grouped('rewards');
    const several = inputs.names.includes('rewards_2') ? [rewards, await grouped('rewards_2')] : [rewards];
    const tokens = await grouped('lengths');
    await inputs.close();
    const file = await goldenArrays(golden);
    const expected = await file.read(array);
    await file.close();
    expect(largestOf(expected)).toBeGreaterThan(0);
    // 1e-12 of the largest: a deviation near zero makes some of them large.
    const tolerance = info.tolerance['float64 engine'] * Math.max(1, largestOf(expected));
    const actual = advantagesNamed(array, several, tokens, info.reward_weights);
    expect(absoluteError(actual.flat(), expected)).toBeLessThanOrEqual(tolerance);
  });
});

function advantagesNamed(array: string, rewards: Rewards[], tokens: number[][], weights: number[]): number[][] {
  if (array in SCALINGS) {
    const scaling = SCALINGS[array as keyof typeof SCALINGS];
    return computeAdvantages(scorable(rewards[0]!), scaling, { tokens }).advantages;
  }
  switch (array) {
    case 'grpo_two_functions_f64': // of the weighted sum, a missing part counting as 0
      return computeAdvantages(weightedSum(rewards, rewards, weights), 'group').advantages;
    case 'grpo_two_functions_normalize_then_sum_f64': {
      const advantages = rewards.map((part) => computeAdvantages(scorable(part), 'group').advantages);
      return computeAdvantages(weightedSum(rewards, advantages, weights), 'whitened', { delta: 1e-4 }).advantages;
    }
    default:
      throw new Error(`this test does not know how '${array}' is computed`);
  }
}

const scorable = (values: Rewards) => values.map((group) => group.map((value) => (Number.isNaN(value) ? null : value)));

/** Sum of the parts' values; null where no part has a reward. */
const weightedSum = (rewards: Rewards[], values: number[][][], weights: number[]) =>
  rewards[0]!.map((group, g) =>
    group.map((_, i) =>
      rewards.every((part) => Number.isNaN(part[g]![i]!))
        ? null
        : values.reduce((sum, part, p) => sum + weights[p]! * (part[g]![i]! || 0), 0),
    ),
  );
