import { describe, expect, it } from 'vitest';
import { bootstrapInterval, quantile, wilsonInterval } from '../../../alignment/evaluation/intervals.ts';

describe('intervals', () => {
  it('Wilson: published values, and inside [0, 1] at the ends', () => {
    // Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    const close = (interval: [number, number], expected: [number, number]) => {
      expect(interval[0]).toBeCloseTo(expected[0], 4);
      expect(interval[1]).toBeCloseTo(expected[1], 4);
    };
    close(wilsonInterval(81, 263), [0.2553, 0.3662]);
    close(wilsonInterval(15, 148), [0.0624, 0.1605]);
    close(wilsonInterval(0, 20), [0, 0.1611]);
    close(wilsonInterval(1, 29), [0.0061, 0.1718]);
    expect(wilsonInterval(48, 48)[1]).toBe(1);
    expect(wilsonInterval(0, 48)[0]).toBe(0);
  });

  it('quantiles lie between the order statistics', () => {
    expect(quantile([1, 2, 4], 0.5)).toBe(2);
    expect(quantile([1, 2, 4], 0.75)).toBe(3);
    expect(quantile([1, 2, 4], 1)).toBe(4);
    expect(quantile([7], 0.3)).toBe(7);
  });

  it('bootstrap: near the normal interval for a mean, the same for the same seed', () => {
    // 100 zeros and 100 ones: mean .5, standard error .5 / sqrt(200) = .0354.
    const values = Array.from({ length: 200 }, (_value, i) => i % 2);
    const [low, high] = bootstrapInterval([{ values, sign: 1 }], 4000, 's');
    expect(low).toBeGreaterThan(0.415);
    expect(low).toBeLessThan(0.445);
    expect(high).toBeGreaterThan(0.555);
    expect(high).toBeLessThan(0.585);
    expect(bootstrapInterval([{ values, sign: 1 }], 4000, 's')).toEqual([low, high]);
    expect(bootstrapInterval([{ values, sign: 1 }], 4000, 't')).not.toEqual([low, high]);
  });

  it('bootstrap: a difference of means is drawn term by term', () => {
    const terms = [
      { values: [3, 3, 3], sign: 1 },
      { values: [1, 1], sign: -1 },
    ] as const;
    expect(bootstrapInterval(terms, 10, 's')).toEqual([2, 2]);
  });
});
