import { describe, expect, it } from 'vitest';
import { bestSwaps, searchSuffix, type SuffixObjective } from '../../../engine/attack/searchSuffix.ts';

/** Loss = distance of the suffix from [5, 5, 5]; its gradient is plain. */
const towards = (goal: number, vocabulary = 8): SuffixObjective & { scored: number[][] } => {
  const scored: number[][] = [];
  const lossOf = (suffix: readonly number[]) => suffix.reduce((sum, token) => sum + Math.abs(token - goal), 0);
  return {
    scored,
    losses: (suffixes) => {
      scored.push(...suffixes.map((suffix) => [...suffix]));
      return Promise.resolve(
        suffixes.map((suffix) => ({ loss: lossOf(suffix), leastProbability: lossOf(suffix) === 0 ? 0.9 : 0.1 })),
      );
    },
    gradient: (suffix) =>
      Promise.resolve({
        gradient: Float32Array.from({ length: suffix.length * vocabulary }, (_, i) =>
          Math.abs((i % vocabulary) - goal),
        ),
      }),
  };
};
const space = { initial: [0, 0, 0], allowed: [0, 1, 2, 3, 4, 5, 6, 7], survives: () => true };
const settings = { topK: 3, batch: 8, seed: 's' };

describe('bestSwaps', () => {
  it('are the allowed tokens with the most negative gradient, not the current one; of equals the lower', () => {
    const gradient = Float32Array.of(-1, -5, -3, -3, 9, /* second place */ 0, -1, -2, -3, -4);
    expect(bestSwaps(gradient, [1, 0], [0, 1, 2, 3, 4], 2)).toEqual([
      [2, 3],
      [4, 3],
    ]);
    expect(bestSwaps(gradient, [1, 0], [0, 4], 2)).toEqual([[0, 4], [4]]);
  });
});

describe('searchSuffix', () => {
  it('goes down to the target and stops there', async () => {
    const state = await searchSuffix(towards(5), space, settings, 100);
    expect(state).toMatchObject({ best: [5, 5, 5], bestLoss: 0, initialLoss: 15, reached: true });
    expect(state.step).toBeGreaterThanOrEqual(3);
    expect(state.step).toBeLessThan(20);
  });

  it('scores only suffixes that differ in one place, survive, and are of the top k', async () => {
    const objective = towards(5);
    await searchSuffix(objective, { ...space, survives: (suffix) => !suffix.includes(4) }, settings, 1);
    const candidates = objective.scored.slice(1);
    expect(candidates.length).toBeGreaterThan(2);
    for (const candidate of candidates) {
      const changed = candidate.filter((token) => token !== 0);
      expect(changed).toHaveLength(1);
      expect([5, 6]).toContain(changed[0]);
    }
    expect(new Set(candidates.map(String)).size).toBe(candidates.length);
  });

  it('stopped after any step and gone on with, it finds the same; another seed goes another way', async () => {
    const whole = await searchSuffix(towards(5), space, { ...settings, batch: 2 }, 6);
    for (let stop = 0; stop < 6; stop++) {
      const part = await searchSuffix(towards(5), space, { ...settings, batch: 2 }, stop);
      expect(part.step).toBe(stop);
      expect(await searchSuffix(towards(5), space, { ...settings, batch: 2 }, 6, part)).toEqual(whole);
    }
    const paths = await Promise.all(
      ['a', 'b', 'c'].map(async (seed) => {
        const objective = towards(5);
        await searchSuffix(objective, space, { ...settings, batch: 2, seed }, 2);
        return JSON.stringify(objective.scored);
      }),
    );
    expect(new Set(paths).size).toBe(3);
  });

  it('keeps the best where the next is worse, and goes on where no swap survives', async () => {
    const rising: SuffixObjective = {
      losses: (suffixes) =>
        Promise.resolve(suffixes.map((suffix) => ({ loss: Math.max(...suffix), leastProbability: 0 }))),
      gradient: (suffix) => Promise.resolve({ gradient: new Float32Array(suffix.length * 8) }),
    };
    const worse = await searchSuffix(rising, space, settings, 1);
    expect(worse).toMatchObject({ best: [0, 0, 0], bestLoss: 0, reached: false });
    expect(worse.loss).toBeGreaterThan(0);
    const stuck = await searchSuffix(rising, { ...space, survives: () => false }, settings, 3);
    expect(stuck).toMatchObject({ step: 3, suffix: [0, 0, 0] });
  });
});
