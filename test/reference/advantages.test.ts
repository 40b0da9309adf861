/** Advantages and learning rates against the numbers of TRL and Transformers (float64). */
import { describe, expect, it } from 'vitest';
import { computeAdvantages } from '../../alignment/advantages/advantages.ts';
import { scheduledLearningRate } from '../../alignment/schedules.ts';
import { hasGolden, readGolden } from '../alignment/readGolden.ts';

const advantagesCase = 'objectives/advantages';
const schedulesCase = 'optimizer/schedules';
const groupSize = 6;

describe.skipIf(!hasGolden(advantagesCase))('advantages as TRL computes them', () => {
  it.each([
    ['grpo_group_f64', 'group'],
    ['grpo_batch_f64', 'batch'],
    ['grpo_none_f64', 'group-mean'],
  ] as const)('%s', (name, scaling) => {
    const flat = readGolden(advantagesCase, 'inputs.safetensors')['rewards']!;
    const expected = readGolden(advantagesCase, 'expected.safetensors')[name]!;
    const rewards = Array.from({ length: flat.length / groupSize }, (_group, i) =>
      flat.slice(i * groupSize, (i + 1) * groupSize).map((reward) => (Number.isNaN(reward) ? null : reward)),
    );
    const computed = computeAdvantages(rewards, scaling).advantages.flat();
    expect(computed).toHaveLength(expected.length);
    expect(expected.some((advantage) => advantage !== 0)).toBe(true);
    computed.forEach((advantage, i) => expect(Math.abs(advantage - expected[i]!)).toBeLessThanOrEqual(1e-12));
  });
});

describe.skipIf(!hasGolden(schedulesCase))('learning rates as Transformers schedules them', () => {
  it.each([
    ['constant_with_warmup', 'constant', 0.2],
    ['linear_with_warmup', 'linear', 0.2],
    ['linear_without_warmup', 'linear', 0],
    ['cosine_with_warmup', 'cosine', 0.2],
    ['cosine_without_warmup', 'cosine', 0],
  ] as const)('%s', (name, schedule, warmupRatio) => {
    const expected = readGolden(schedulesCase, 'expected.safetensors')[name]!;
    const settings = { schedule, learningRate: 1e-3, warmupRatio };
    for (let step = 1; step <= 20; step++) {
      const rate = scheduledLearningRate(settings, step, 20);
      expect(Math.abs(rate - expected[step - 1]!)).toBeLessThanOrEqual(1e-12 * expected[step - 1]!);
    }
  });
});
