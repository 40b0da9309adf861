import { describe, expect, it } from 'vitest';
import { dpo } from '../../../alignment/preferences/dpo.ts';
import type { DpoSettings, PreferencePair } from '../../../alignment/preferences/dpo.ts';
import { kto } from '../../../alignment/preferences/kto.ts';
import type { KtoSettings } from '../../../alignment/preferences/kto.ts';
import { negativeLogSigmoid, sigmoid, tokenWeight } from '../../../alignment/preferences/sequenceScore.ts';

const score = (logProb: number, referenceLogProb: number, tokens: number) => ({ logProb, referenceLogProb, tokens });
const pairs: PreferencePair[] = [
  { chosen: score(-12, -14, 5), rejected: score(-20, -17, 8) },
  { chosen: score(-31, -30, 11), rejected: score(-9, -11, 4) },
];

describe('dpo', () => {
  it('is log 2 with slope beta / 2 where policy and reference are equal', () => {
    const { loss, coefficients } = dpo([{ chosen: score(-3, -3, 2), rejected: score(-5, -5, 2) }], {
      loss: 'sigmoid',
      beta: 0.4,
    });
    expect(loss).toBeCloseTo(Math.LN2, 14);
    expect(coefficients).toEqual([{ chosen: -0.2, rejected: 0.2 }]);
  });

  it('hinge: no gradient past the margin', () => {
    const { loss, coefficients } = dpo(pairs, { loss: 'hinge', beta: 0.5 });
    // Margins 5 and -3: losses 0 and 2.5.
    expect(loss).toBe(1.25);
    expect(coefficients.map(({ chosen }) => chosen)).toEqual([0, -0.25].map((value) => expect.closeTo(value, 14)));
  });

  it('ipo: log-ratios by token, pulled to 1 / (2 beta)', () => {
    // 2 / 5 + 3 / 8 = 0.775; 1 / (2 beta) = 0.5.
    const { loss, coefficients } = dpo(pairs.slice(0, 1), { loss: 'ipo', beta: 1 });
    expect(loss).toBeCloseTo(0.275 ** 2, 14);
    expect(coefficients[0]!.chosen).toBeCloseTo(0.55 / 5, 14);
    expect(coefficients[0]!.rejected).toBeCloseTo(-0.55 / 8, 14);
  });

  it.each([
    { loss: 'sigmoid', beta: 0.3 },
    { loss: 'hinge', beta: 0.3 },
    { loss: 'ipo', beta: 0.3 },
    { loss: 'sigmoid-norm', beta: 2 },
    { loss: 'robust', beta: 0.3, labelSmoothing: 0.2 },
  ] as DpoSettings[])('the coefficients are the gradient, by finite differences: %o', (settings) => {
    const { coefficients } = dpo(pairs, settings);
    for (const [i, pair] of pairs.entries()) {
      for (const side of ['chosen', 'rejected'] as const) {
        const lossAt = (distance: number) => {
          const moved = { ...pair, [side]: { ...pair[side], logProb: pair[side].logProb + distance } };
          return dpo(pairs.with(i, moved), settings).loss;
        };
        expect((lossAt(1e-4) - lossAt(-1e-4)) / 2e-4).toBeCloseTo(coefficients[i]![side], 8);
      }
    }
  });

  it('keeps its digits where the margin is extreme', () => {
    const far = (logProb: number) =>
      dpo([{ chosen: score(logProb, 0, 1), rejected: score(0, 0, 1) }], { loss: 'sigmoid', beta: 1 });
    expect(far(-2000)).toMatchObject({ loss: 2000, coefficients: [{ chosen: -1, rejected: 1 }] });
    expect(far(40).loss).toBeCloseTo(Math.exp(-40), 30);
    expect([sigmoid(-800), sigmoid(800), negativeLogSigmoid(800)]).toEqual([0, 1, 0]);
  });

  it('refuses what has no meaning', () => {
    expect(() => dpo([], { loss: 'sigmoid', beta: 1 })).toThrow(/no pairs/);
    expect(() => dpo(pairs, { loss: 'sigmoid', beta: 0 })).toThrow(/beta is 0/);
    expect(() => dpo(pairs, { loss: 'robust', beta: 1, labelSmoothing: 0.5 })).toThrow(/below 0.5/);
    expect(() => dpo([{ ...pairs[0]!, chosen: score(0, 0, 0) }], { loss: 'ipo', beta: 1 })).toThrow(/pair 0/);
  });
});

describe('kto', () => {
  const sequences = [
    { logProb: -10, referenceLogProb: -12, desirable: true },
    { logProb: -8, referenceLogProb: -9, desirable: false },
    { logProb: -15, referenceLogProb: -13, desirable: true },
  ];
  const mismatched = [
    { logProb: -40, referenceLogProb: -42 },
    { logProb: -30, referenceLogProb: -29 },
  ];
  const settings: KtoSettings = { loss: 'kto', beta: 0.5, desirableWeight: 1, undesirableWeight: 1.5 };

  it('measures from the mean log-ratio of mismatched pairs, or from 0', () => {
    expect(kto(sequences, mismatched, settings).klEstimate).toBe(0.5);
    const negative = mismatched.map(({ logProb, referenceLogProb }) => ({
      logProb: referenceLogProb,
      referenceLogProb: logProb,
    }));
    expect(kto(sequences, negative, settings).klEstimate).toBe(0);
    expect(kto(sequences, [], { ...settings, loss: 'apo-zero' })).toEqual(kto(sequences, negative, settings));
    expect(() => kto(sequences, [], settings)).toThrow(/no mismatched pairs/);
  });

  it('the coefficients are the gradient, by finite differences', () => {
    const { coefficients } = kto(sequences, mismatched, settings);
    expect(coefficients.map(Math.sign)).toEqual([-1, 1, -1]);
    sequences.forEach((sequence, i) => {
      const lossAt = (distance: number) =>
        kto(sequences.with(i, { ...sequence, logProb: sequence.logProb + distance }), mismatched, settings).loss;
      expect((lossAt(1e-4) - lossAt(-1e-4)) / 2e-4).toBeCloseTo(coefficients[i]!, 8);
    });
  });
});

it('a token weight is the coefficient turned round, and never -0', () => {
  expect([tokenWeight(-0.25), tokenWeight(0.5), tokenWeight(0)]).toEqual([0.25, -0.5, 0]);
});
