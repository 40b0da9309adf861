import { describe, expect, it } from 'vitest';
import { holm, meanInterval, meanOf, pairedDifference } from '../../../alignment/study/resampling.ts';

const bits = (count: number, ones: number): number[] =>
  Array.from({ length: count }, (_, index) => Number(index < ones));

describe('bootstrap over questions and seeds', () => {
  it('of one seed is as wide as the normal interval of a share', () => {
    const [low, high] = meanInterval([bits(400, 100)], 4000, 'a');
    const half = 1.96 * Math.sqrt((0.25 * 0.75) / 400);
    expect(low).toBeCloseTo(0.25 - half, 1.9);
    expect(high).toBeCloseTo(0.25 + half, 1.9);
    expect(meanInterval([bits(400, 100)], 4000, 'a')).toEqual([low, high]);
  });

  it('counts what seeds differ by', () => {
    const seeds = [bits(200, 0), bits(200, 200)];
    expect(meanOf(seeds)).toBe(0.5);
    // Both draws of two are the same seed in half of the rounds.
    expect(meanInterval(seeds, 1000, 'b')).toEqual([0, 1]);
    expect(meanInterval([bits(200, 100), bits(200, 100)], 1000, 'b')[0]).toBeGreaterThan(0.4);
  });

  it('pairs questions: a difference that all of them have is as certain as Wilson says of none in n', () => {
    const before = [Array.from({ length: 50 }, (_, index) => index / 100)];
    const after = [before[0]!.map((value) => value + 0.25)];
    const { value, interval, p } = pairedDifference(before, after, 999, 'c');
    expect(value).toBeCloseTo(0.25, 12);
    // z² / (50 + z²) to each side.
    expect(interval[0]).toBeCloseTo(0.25 - 3.8415 / 53.8415, 4);
    expect(interval[1]).toBeCloseTo(0.25 + 3.8415 / 53.8415, 4);
    expect(p).toBeCloseTo(2 / 1000, 12);
  });

  it('sees no difference between an arm and itself, and the sign of one that there is', () => {
    const arm = [bits(60, 30)];
    const { value, interval, p } = pairedDifference(arm, arm, 500, 'd');
    expect({ value, p }).toEqual({ value: 0, p: 1 });
    expect(interval[1]).toBeCloseTo(3.8415 / 63.8415, 4);
    expect(interval[0]).toBe(-interval[1]);
    const worse = pairedDifference([bits(60, 30)], [bits(60, 12)], 500, 'd');
    expect(worse.value).toBeCloseTo(-0.3, 12);
    expect(worse.interval[1]).toBeLessThan(0);
  });
});

describe('p of few questions', () => {
  it('is that of an exact test: four changes of five are no proof', () => {
    const { interval, p } = pairedDifference([bits(5, 0)], [bits(5, 4)], 4000, 'e');
    expect(interval[0]).toBeGreaterThan(0);
    // McNemar: 2 / 2^4.
    expect(p).toBeGreaterThan(0.105);
    expect(p).toBeLessThan(0.145);
  });

  it('is small where many agree', () => {
    expect(pairedDifference([bits(40, 0)], [bits(40, 12)], 4000, 'f').p).toBeLessThan(0.005);
  });
});

describe('Holm', () => {
  it('multiplies by what is left, and never falls', () => {
    const adjusted = holm([0.01, 0.04, 0.03]);
    for (const [index, expected] of [0.03, 0.06, 0.06].entries()) expect(adjusted[index]).toBeCloseTo(expected, 12);
    expect(holm([0.5, 0.9])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });
});
