import { describe, expect, it } from 'vitest';
import { sftTokenWeights, tokenWeights } from '../../../alignment/advantages/tokenWeights.ts';

const sequences = [
  { tokens: 4, counted: true },
  { tokens: 5, counted: false },
  { tokens: 1, counted: true },
  { tokens: 0, counted: true },
];

describe('tokenWeights', () => {
  it('sequence-mean: every sequence weighs the same', () => {
    expect(tokenWeights(sequences, 'sequence-mean', 10)).toEqual([1 / 12, 0, 1 / 3, 0]);
  });

  it('token-mean: every token weighs the same', () => {
    expect(tokenWeights(sequences, 'token-mean', 10)).toEqual([1 / 5, 0, 1 / 5, 0]);
  });

  it('constant: no length enters', () => {
    expect(tokenWeights(sequences, 'constant', 10)).toEqual([1 / 30, 0, 1 / 30, 0]);
  });

  it('gives weights that add up to 1 over the tokens where nothing is empty', () => {
    const full = [3, 7, 2].map((tokens) => ({ tokens, counted: true }));
    for (const aggregation of ['sequence-mean', 'token-mean'] as const) {
      const weights = tokenWeights(full, aggregation, 10);
      expect(full.reduce((sum, { tokens }, i) => sum + tokens * weights[i]!, 0)).toBeCloseTo(1, 14);
    }
  });

  it('gives 0, not NaN, when nothing counts', () => {
    for (const aggregation of ['sequence-mean', 'token-mean', 'constant'] as const) {
      expect(tokenWeights([{ tokens: 3, counted: false }], aggregation, 10)).toEqual([0]);
    }
  });

  it('SFT: the mean over all completion tokens of the step', () => {
    expect(sftTokenWeights([3, 5, 0])).toEqual([1 / 8, 1 / 8, 0]);
  });
});
