import { describe, expect, it } from 'vitest';
import { compareLosses, meanLoss, type AnswerLoss } from '../../../alignment/evaluation/utility.ts';

const losses = (...values: number[]): AnswerLoss[] =>
  values.map((loss, index) => ({ requestId: `r${index}`, tokens: 10 + index, loss }));
const options = { bootstrapSamples: 500, seed: 'test' };

describe('meanLoss', () => {
  it('counts every answer alike', () => {
    expect(meanLoss(losses(1, 2, 6))).toBe(3);
    expect(meanLoss([])).toBeNull();
  });
});

describe('compareLosses', () => {
  it('pairs answers by request, whatever their order', () => {
    const change = compareLosses(losses(1, 2, 6), losses(1.5, 2.5, 6.5).reverse(), options)!;
    expect(change).toMatchObject({ before: 3, after: 3.5, value: 0.5, pairs: 3 });
    // Every pair differs by the same: drawing again can't change the mean.
    expect(change.interval[0]).toBeCloseTo(0.5, 12);
    expect(change.interval[1]).toBeCloseTo(0.5, 12);
  });

  it('refuses losses of other answers', () => {
    expect(() => compareLosses(losses(1, 2), losses(1), options)).toThrow('"r1" was not measured both times');
    expect(() => compareLosses(losses(1), [{ requestId: 'r0', tokens: 9, loss: 1 }], options)).toThrow('"r0"');
  });

  it('has no figure without answers', () => {
    expect(compareLosses([], [], options)).toBeNull();
  });
});
