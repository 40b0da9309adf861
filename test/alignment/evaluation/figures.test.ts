import { describe, expect, it } from 'vitest';
import { evaluationFigures } from '../../../alignment/evaluation/figures.ts';
import { wilsonInterval } from '../../../alignment/evaluation/intervals.ts';
import { makeScored } from '../makeChain.ts';

const chains = [
  makeScored('a', {
    verdict: 'refusal',
    tokens: 10,
    reward: 1.5,
    parts: { format: 1, refuseHarmful: 1 },
    phraseRefusal: true,
  }),
  makeScored('b', {
    verdict: 'compliance',
    tokens: 20,
    reward: 0,
    parts: { format: 0 },
    format: false,
    refusalWithContent: true,
  }),
  makeScored('c', { verdict: 'unusable', tokens: 30, reward: 0.5, cut: true }),
  makeScored('d', { verdict: null, reward: null, tokens: 40, phraseRefusal: true }),
  makeScored('e', { kind: 'plain', verdict: 'compliance', tokens: 50 }),
];

describe('evaluationFigures', () => {
  const { all, byKind } = evaluationFigures(chains);

  it('leaves unscorable chains out of what the judge says, and of nothing else', () => {
    const { harmful } = byKind;
    expect(harmful).toMatchObject({ n: 4, unscorable: 1, meanTokens: 25 });
    expect(harmful.refusal).toEqual({ value: 1 / 3, interval: wilsonInterval(1, 3), count: 1, n: 3 });
    expect(harmful.unusable).toMatchObject({ count: 1, n: 3 });
    expect(harmful.refusalWithContent).toMatchObject({ count: 1, n: 3 });
    expect(harmful.format).toMatchObject({ value: 0.75, count: 3, n: 4 });
    expect(harmful.phraseRefusal).toMatchObject({ value: 0.5, n: 4 });
    expect(harmful.cut).toMatchObject({ value: 0.25, n: 4 });
    expect(harmful.meanReward).toBeCloseTo(2 / 3, 14);
    expect(harmful.meanParts).toEqual({ format: 0.5, refuseHarmful: 1 });
  });

  it('has no figure, not 0, for a kind without requests', () => {
    expect(byKind['look-alike']).toMatchObject({
      n: 0,
      refusal: null,
      format: null,
      meanTokens: null,
      meanReward: null,
    });
    expect(all.n).toBe(5);
    expect(all.refusal).toMatchObject({ count: 1, n: 4 });
  });
});
