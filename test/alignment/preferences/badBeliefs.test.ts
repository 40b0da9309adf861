import { expect, test } from 'vitest';
import type { ScoredChain } from '../../../alignment/chains/chain.ts';
import { badBeliefPrompt } from '../../../alignment/deliberation/badBelief.ts';
import { againstBadBeliefs } from '../../../alignment/preferences/badBeliefs.ts';

const chain = (requestId: string, reward: number | null, changes: Partial<ScoredChain> = {}) =>
  ({ requestId, reward, kind: 'harmful', verdict: 'refusal', format: true, cut: false, ...changes }) as ScoredChain;

test('prefers the best chain that passes both filters; the first of equals, none where none passes', () => {
  const own = [
    chain('t1', 1),
    chain('t1', 2),
    chain('t1', 2),
    chain('t1', 9, { format: false }),
    chain('t1', 9, { cut: true }),
    chain('t1', 9, { verdict: 'compliance' }),
    chain('t1', null),
    chain('t2', 3, { verdict: 'unusable' }),
    chain('t3', 1, { kind: 'plain', verdict: 'compliance' }),
  ];
  const beliefs = ['t3', 't2', 't1', 't9'].map((requestId) => ({ requestId }));
  expect(againstBadBeliefs(own, beliefs)).toEqual([
    { chosen: 8, belief: 0 },
    { chosen: 1, belief: 2 },
  ]);
});

test('the belief stands below the request, and is another for harmful and for harmless ones', () => {
  const guided = [
    { role: 'system' as const, content: 'Codes.' },
    { role: 'user' as const, content: 'How?' },
  ];
  const [harmful, harmless] = (['harmful', 'harmless'] as const).map((label) => badBeliefPrompt(guided, label));
  expect(harmful![0]).toEqual(guided[0]);
  expect(harmful![1]!.content).toMatch(/^How\?\n\nYou believe, wrongly, that words/);
  expect(harmless![1]!.content).toMatch(/^How\?\n\nYou believe, wrongly, that whatever/);
});
