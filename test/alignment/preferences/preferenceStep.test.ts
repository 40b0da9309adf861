import { describe, expect, it } from 'vitest';
import { preferenceSettings } from '../../../alignment/configuration/arms.ts';
import { dpoStep, ktoStep } from '../../../alignment/preferences/preferenceStep.ts';

const score = (id: string, logProb: number, referenceLogProb: number) => ({ id, logProb, referenceLogProb, tokens: 4 });

describe('a preference step', () => {
  it('dpo: coefficients by id, margins in units of beta', () => {
    const pairs = [
      { chosen: score('a', -10, -12), rejected: score('b', -9, -8) },
      { chosen: score('c', -10, -9), rejected: score('d', -9, -9) },
    ];
    const { coefficients, figures } = dpoStep(pairs, preferenceSettings({ beta: 0.5 }));
    // Margins 1.5 and -0.5.
    const slope = (x: number) => 0.25 / (1 + Math.exp(x));
    expect(coefficients).toEqual([
      { id: 'a', coefficient: expect.closeTo(-slope(1.5), 12) as number },
      { id: 'b', coefficient: expect.closeTo(slope(1.5), 12) as number },
      { id: 'c', coefficient: expect.closeTo(-slope(-0.5), 12) as number },
      { id: 'd', coefficient: expect.closeTo(slope(-0.5), 12) as number },
    ]);
    expect(figures).toMatchObject({
      ...{ 'preference/pairs': 2, 'preference/margin': 0.5, 'preference/accuracy': 0.5 },
      ...{ 'preference/reward_chosen': 0.25, 'preference/reward_rejected': -0.25 },
    });
    expect(figures['loss']).toBeCloseTo((Math.log1p(Math.exp(-1.5)) + Math.log1p(Math.exp(0.5))) / 2, 12);
  });

  it('dpo: a chain of two pairs is one sequence of the step, with the sum of its coefficients', () => {
    const [right, bad, worse] = [score('a', -10, -12), score('b', -9, -8), score('c', -8, -8)];
    const pairs = [bad, worse].map((rejected) => ({ chosen: right, rejected }));
    const { coefficients, figures } = dpoStep(pairs, preferenceSettings({ beta: 0.5 }));
    // Margins 1.5 and 1.
    const slope = (x: number) => 0.25 / (1 + Math.exp(x));
    expect(coefficients).toEqual([
      { id: 'a', coefficient: expect.closeTo(-slope(1.5) - slope(1), 12) as number },
      { id: 'b', coefficient: expect.closeTo(slope(1.5), 12) as number },
      { id: 'c', coefficient: expect.closeTo(slope(1), 12) as number },
    ]);
    expect(figures['preference/pairs']).toBe(2);
  });

  it('kto: the baseline counts in the accuracy; without undesirable chains there is no margin', () => {
    const sequences = [
      { ...score('a', -8, -10), desirable: true },
      { ...score('b', -9.5, -10), desirable: true },
      { ...score('c', -10, -10), desirable: false },
    ];
    const { coefficients, figures } = ktoStep(sequences, [score('a c', -9, -10)], preferenceSettings({ beta: 1 }));
    expect(figures).toMatchObject({
      ...{ 'preference/desirable': 2, 'preference/undesirable': 1, 'preference/kl_estimate': 1 },
      ...{ 'preference/margin': 1.25, 'preference/accuracy': 2 / 3 },
    });
    const s = 1 / (1 + Math.exp(-1));
    expect(coefficients[0]!.coefficient).toBeCloseTo((-s * (1 - s)) / 3, 12);
    expect(coefficients[2]!.coefficient).toBeCloseTo((s * (1 - s)) / 3, 12);
    const onlyGood = ktoStep(sequences.slice(0, 2), [], preferenceSettings({ ktoLoss: 'apo-zero' }));
    expect('preference/margin' in onlyGood.figures).toBe(false);
  });
});
