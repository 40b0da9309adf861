import { describe, expect, it } from 'vitest';
import { balancedOrder, seededOrder, uniformStream } from '../../../alignment/randomness/seededRandom.ts';

const self = (item: string) => item;
const letters = [...'abcdefghij'];

describe('uniformStream', () => {
  it('is a function of its seed, uniform and without visible correlation', () => {
    const draw = (seed: string, n: number) => {
      const next = uniformStream(seed);
      return Array.from({ length: n }, next);
    };
    expect(draw('a', 5)).toEqual(draw('a', 5));
    expect(draw('a', 5)).not.toEqual(draw('b', 5));
    const values = draw('uniform', 20_000);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    const lag =
      values.slice(1).reduce((sum, value, i) => sum + (value - mean) * (values[i]! - mean), 0) / values.length;
    expect(mean).toBeCloseTo(0.5, 1);
    expect(variance).toBeCloseTo(1 / 12, 2);
    expect(Math.abs(lag / variance)).toBeLessThan(0.03);
  });
});

describe('seededOrder', () => {
  it('does not depend on the order of its input and keeps all items', () => {
    const ordered = seededOrder(letters, self, 's');
    expect(seededOrder([...letters].reverse(), self, 's')).toEqual(ordered);
    expect([...ordered].sort()).toEqual(letters);
    expect(ordered).not.toEqual(letters);
    expect(seededOrder(letters, self, 't')).not.toEqual(ordered);
  });

  it('leaves the others in place when an item is taken away', () => {
    const ordered = seededOrder(letters, self, 's');
    expect(seededOrder(letters.slice(1), self, 's')).toEqual(ordered.filter((letter) => letter !== 'a'));
  });
});

describe('balancedOrder', () => {
  it('takes one of each category a round, as long as they last', () => {
    const items = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'];
    const ordered = balancedOrder(items, self, (item) => item[0]!, 's');
    const categories = ordered.map((item) => item[0]!);
    expect(categories.slice(0, 3).sort()).toEqual(['a', 'b', 'c']);
    expect(categories.slice(3, 5).sort()).toEqual(['a', 'b']);
    expect(categories[5]).toBe('a');
    expect([...ordered].sort()).toEqual(items);
  });
});
