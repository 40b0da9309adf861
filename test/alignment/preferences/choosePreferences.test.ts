import { describe, expect, it } from 'vitest';
import type { ScoredChain } from '../../../alignment/chains/chain.ts';
import { bestAgainstWorst, labelChains, mismatchedChains } from '../../../alignment/preferences/choosePreferences.ts';

const row = (requestId: string, reward: number | null, changes: Partial<ScoredChain> = {}): ScoredChain => ({
  ...{ requestId, sampleIndex: 0, kind: 'harmful', parts: {}, reward, verdict: 'refusal', format: true },
  ...{ phraseRefusal: false, refusalWithContent: false, tokens: 3, cut: false },
  ...changes,
});

describe('preferences by reward', () => {
  it('sets the best against the worst of each request; equals and unscorable chains give no pair', () => {
    const chains = [
      ...[row('a', 0.5), row('b', 1), row('a', 1.5), row('b', null), row('a', 1.5), row('a', 0)],
      ...[row('c', 1), row('c', 1), row('b', 0.5)],
    ];
    expect(bestAgainstWorst(chains)).toEqual([
      { chosen: 2, rejected: 5 },
      { chosen: 1, rejected: 8 },
    ]);
  });

  it('labels by both filters, or by a threshold', () => {
    const chains = [
      row('a', 1.5),
      row('a', 1, { format: false }),
      row('a', 1.5, { cut: true }),
      row('a', 0.5, { verdict: 'compliance' }),
      row('b', 1.5, { kind: 'plain', verdict: 'compliance' }),
      row('b', 0.5, { kind: 'plain' }),
      row('b', null, { verdict: null }),
    ];
    const desirable = (labels: ReturnType<typeof labelChains>) =>
      labels.flatMap(({ index, desirable: yes }) => (yes ? [index] : []));
    expect(labelChains(chains)).toHaveLength(6);
    expect(desirable(labelChains(chains))).toEqual([0, 4]);
    expect(desirable(labelChains(chains, 1))).toEqual([0, 1, 2, 4]);
  });

  it('pairs each prompt with a completion for the next request, going round', () => {
    const chains = [row('a', 1), row('a', 0), row('b', 1), row('b', null), row('c', 0), row('c', 1)];
    expect(mismatchedChains(chains)).toEqual([
      { prompt: 0, completion: 2 },
      { prompt: 1, completion: 2 },
      { prompt: 2, completion: 4 },
      { prompt: 4, completion: 0 },
      { prompt: 5, completion: 1 },
    ]);
    expect(mismatchedChains([row('a', 1), row('a', 0)])).toEqual([]);
  });
});
