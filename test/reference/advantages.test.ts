/** Advantages and learning rates against the numbers of TRL and Transformers (float64). */
import { expect, it } from 'vitest';
import { computeAdvantages } from '../../alignment/advantages/advantages.ts';
import { scheduledLearningRate } from '../../alignment/schedules.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase } from './golden.ts';

interface AdvantagesCase {
  group_size: number;
  reward_weights: number[];
  tolerance: { 'float64 engine': number };
}

describeGolden('advantages as TRL computes them', () => {
  const name = 'objectives/advantages';
  const golden = goldenCase<AdvantagesCase>(name);

  /** Values of one array, [groups][chains]; NaN = unscorable. */
  async function grouped(array: string): Promise<number[][]> {
    const inputs = await goldenArrays(name, 'inputs.safetensors');
    const flat = [...(await inputs.read(array))];
    await inputs.close();
    const size = golden.group_size;
    return Array.from({ length: flat.length / size }, (_group, i) => flat.slice(i * size, (i + 1) * size));
  }
  const scorable = (values: number[][]) =>
    values.map((group) => group.map((value) => (Number.isNaN(value) ? null : value)));
  async function expectAdvantages(array: string, actual: number[][]) {
    const file = await goldenArrays(name);
    const expected = await file.read(array);
    await file.close();
    expect(expected.some((advantage) => advantage !== 0)).toBe(true);
    expect(absoluteError(actual.flat(), expected)).toBeLessThanOrEqual(golden.tolerance['float64 engine']);
  }

  it.each([
    ['grpo_group_f64', 'group'],
    ['grpo_batch_f64', 'batch'],
    ['grpo_none_f64', 'group-mean'],
    ['rloo_f64', 'leave-one-out'],
    ['rloo_normalized_f64', 'leave-one-out-batch'],
    ['reinforce_pp_f64', 'whitened'],
    ['reinforce_pp_baseline_f64', 'group-mean-whitened'],
    ['reinforce_pp_token_whitened_f64', 'token-whitened'],
  ] as const)('%s', async (array, scaling) => {
    const tokens = await grouped('lengths');
    await expectAdvantages(
      array,
      computeAdvantages(scorable(await grouped('rewards')), scaling, { tokens }).advantages,
    );
  });

  it('grpo_two_functions_f64: advantages of the weighted sum, a missing part counting as 0', async () => {
    const [first, second] = [await grouped('rewards'), await grouped('rewards_2')];
    const [a, b] = golden.reward_weights as [number, number];
    const sums = first.map((group, g) =>
      group.map((value, i) => {
        const other = second[g]![i]!;
        return Number.isNaN(value) && Number.isNaN(other) ? NaN : a * (value || 0) + b * (other || 0);
      }),
    );
    await expectAdvantages('grpo_two_functions_f64', computeAdvantages(scorable(sums), 'group').advantages);
  });

  it('grpo_two_functions_normalize_then_sum_f64: the weighted sum of advantages, whitened', async () => {
    const parts = [await grouped('rewards'), await grouped('rewards_2')];
    const advantages = parts.map((part) => computeAdvantages(scorable(part), 'group').advantages);
    const sums = parts[0]!.map((group, g) =>
      group.map((value, i) =>
        Number.isNaN(value) && Number.isNaN(parts[1]![g]![i]!)
          ? null
          : advantages.reduce((sum, part, p) => sum + golden.reward_weights[p]! * part[g]![i]!, 0),
      ),
    );
    const { advantages: whitened } = computeAdvantages(sums, 'whitened', { delta: 1e-4 });
    await expectAdvantages('grpo_two_functions_normalize_then_sum_f64', whitened);
  });
});

describeGolden('learning rates as Transformers schedules them', () => {
  it.each([
    ['constant_with_warmup', 'constant', true],
    ['linear_with_warmup', 'linear', true],
    ['linear_without_warmup', 'linear', false],
    ['cosine_with_warmup', 'cosine', true],
    ['cosine_without_warmup', 'cosine', false],
  ] as const)('%s', async (name, schedule, warm) => {
    const golden = goldenCase<{ peak_learning_rate: number; warmup_steps: number; total_steps: number }>(
      'optimizer/schedules',
    );
    const file = await goldenArrays('optimizer/schedules');
    const expected = await file.read(name);
    await file.close();
    const warmupRatio = warm ? golden.warmup_steps / golden.total_steps : 0;
    const settings = { schedule, learningRate: golden.peak_learning_rate, warmupRatio };
    for (let step = 1; step <= golden.total_steps; step++) {
      const rate = scheduledLearningRate(settings, step, golden.total_steps);
      expect(Math.abs(rate - expected[step - 1]!)).toBeLessThanOrEqual(1e-12 * expected[step - 1]!);
    }
  });
});
