import { describe, expect, it } from 'vitest';
import { computeAdvantages } from '../../../alignment/advantages/advantages.ts';

/** Scalings whose baseline is the group. */
const relative = [
  'group',
  'group-mean',
  'batch',
  'leave-one-out',
  'leave-one-out-batch',
  'group-mean-whitened',
] as const;

describe('computeAdvantages', () => {
  // Group 1, 2, 3: mean 2, Bessel std 1. All rewards 1, 2, 3, 5, 5: mean 3.2, squares 4.84 + 1.44 + .04 + 3.24 * 2 = 12.8, std sqrt(3.2).
  const rewards = [
    [1, 2, 3],
    [5, null, 5],
  ];

  it('divides by the deviation of the group with Bessel correction', () => {
    const { advantages, groups } = computeAdvantages(rewards, 'group', { delta: 0.25 });
    expect(advantages).toEqual([
      [-0.8, 0, 0.8],
      [0, 0, 0],
    ]);
    expect(groups).toEqual([
      { scorable: 3, mean: 2, std: 1, signal: true },
      { scorable: 2, mean: 5, std: 0, signal: false },
    ]);
  });

  it("adds TRL's 1e-4 to the deviation where nothing else is said", () => {
    expect(computeAdvantages([[1, 2, 3]], 'group').advantages[0]![2]).toBeCloseTo(1 / 1.0001, 14);
  });

  it('only subtracts the mean, or divides by the deviation of the batch', () => {
    expect(computeAdvantages(rewards, 'group-mean').advantages).toEqual([
      [-1, 0, 1],
      [0, 0, 0],
    ]);
    expect(computeAdvantages(rewards, 'batch', { delta: 0 }).advantages[0]![2]).toBeCloseTo(1 / Math.sqrt(3.2), 14);
  });

  it('leaves unscorable chains out of mean and deviation and gives them 0', () => {
    const { advantages, groups } = computeAdvantages([[1, null, 3, null]], 'group', { delta: 0 });
    expect(advantages).toEqual([[-1 / Math.SQRT2, 0, 1 / Math.SQRT2, 0]]);
    expect(groups[0]).toMatchObject({ scorable: 2, mean: 2, std: Math.SQRT2 });
  });

  it.each(relative)('gives exactly 0 to a group with one scorable chain or none (%s)', (scaling) => {
    const { advantages, groups } = computeAdvantages(
      [
        [null, 7, null],
        [null, null],
        [1, 2],
      ],
      scaling,
    );
    expect(advantages.slice(0, 2)).toEqual([
      [0, 0, 0],
      [0, 0],
    ]);
    expect(groups.slice(0, 2)).toEqual([
      { scorable: 1, mean: 7, std: null, signal: false },
      { scorable: 0, mean: null, std: null, signal: false },
    ]);
  });

  it.each(relative)('gives exactly 0 to equal rewards whatever rounds (%s)', (scaling) => {
    for (const size of [2, 3, 6, 7, 8, 16]) {
      for (const reward of [0.65, Math.fround(0.65), 0.1 + 0.2, -1.3, 0, 1e6 + 0.1]) {
        const { advantages, groups } = computeAdvantages([Array<number>(size).fill(reward), [0, 1]], scaling);
        expect(advantages[0]!.every((advantage) => advantage === 0)).toBe(true);
        expect(groups[0]).toMatchObject({ std: 0, signal: false });
      }
    }
    // The same reward by two orders of summation, and by float32.
    expect(computeAdvantages([[0.1 + 0.2, 0.3, Math.fround(0.3)]], scaling).advantages).toEqual([[0, 0, 0]]);
  });

  it('keeps a small difference that is one', () => {
    expect(computeAdvantages([[1, 1.001]], 'group-mean').advantages[0]![1]).toBeCloseTo(0.0005, 12);
  });

  it('takes off the mean of the other chains, then divides by the deviation of the differences', () => {
    // 1 - 2.5, 2 - 2, 3 - 1.5: deviation of -1.5, 0, 1.5 and the two zeros sqrt(4.5 / 4).
    expect(computeAdvantages(rewards, 'leave-one-out').advantages).toEqual([
      [-1.5, 0, 1.5],
      [0, 0, 0],
    ]);
    const normalised = computeAdvantages(rewards, 'leave-one-out-batch', { delta: 0 }).advantages;
    expect(normalised[0]![2]).toBeCloseTo(1.5 / Math.sqrt(4.5 / 4), 14);
  });

  it('whitens over the batch: a group with equal rewards teaches too', () => {
    const { advantages, groups } = computeAdvantages(rewards, 'whitened', { delta: 0 });
    expect(advantages[1]).toEqual(
      [1.8 / Math.sqrt(3.2), 0, 1.8 / Math.sqrt(3.2)].map((value) => expect.closeTo(value, 12)),
    );
    expect(groups[1]).toEqual({ scorable: 2, mean: 5, std: 0, signal: true });
    const centred = computeAdvantages(rewards, 'group-mean-whitened', { delta: 0 }).advantages;
    expect(centred[0]![2]).toBeCloseTo(1 / Math.sqrt(2 / 4), 14);
  });

  it('whitens over tokens: a chain counts as often as it has tokens', () => {
    const options = { delta: 0, tokens: [[1, 3]] };
    // 0, 1, 1, 1: mean 0.75, variance 0.25.
    expect(computeAdvantages([[0, 1]], 'token-whitened', options).advantages).toEqual([[-1.5, 0.5]]);
    expect(() => computeAdvantages([[0, 1]], 'token-whitened')).toThrow(/need the number of tokens/);
  });

  it.each(['whitened', 'token-whitened'] as const)(
    'gives 0 where all rewards of the batch are equal (%s)',
    (scaling) => {
      const tokens = [[3, 4], [5]];
      const { advantages, groups } = computeAdvantages([[0.1 + 0.2, 0.3], [0.3]], scaling, { tokens });
      expect(advantages).toEqual([[0, 0], [0]]);
      expect(groups.map(({ signal }) => signal)).toEqual([false, false]);
    },
  );

  it('none: the reward itself', () => {
    const { advantages, groups } = computeAdvantages([[0.5, null], [0]], 'none');
    expect(advantages).toEqual([[0.5, 0], [0]]);
    expect(groups.map(({ signal }) => signal)).toEqual([true, false]);
  });
});
