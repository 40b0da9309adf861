import { describe, expect, it } from 'vitest';
import type { ScoredChain } from '../../../alignment/chains/chain.ts';
import { filterWarmStart, warmStartPair } from '../../../alignment/filters/warmStartFilter.ts';
import type { RequestKind } from '../../../alignment/library/library.ts';
import { makeChain, makeScored } from '../makeChain.ts';
import { makeRequest } from '../makeLibrary.ts';

function candidate(id: string, kind: RequestKind, changes: Partial<ScoredChain>, category = 'privacy') {
  return {
    chain: makeChain(id),
    scored: makeScored(id, { kind, ...changes }),
    request: makeRequest(id, kind, category),
  };
}

const none = { unscorable: 0, format: 0, cut: 0, outcome: 0, contradiction: 0, surplus: 0 };

describe('filterWarmStart', () => {
  it('keeps what passes both filters and counts the rest by its first reason', () => {
    const { kept, byKind } = filterWarmStart(
      [
        candidate('ok1', 'harmful', { verdict: 'refusal' }),
        candidate('no1', 'harmful', { verdict: 'compliance' }),
        candidate('no2', 'harmful', { verdict: 'refusal', format: false, cut: true }),
        candidate('no3', 'harmful', { verdict: 'refusal', cut: true }),
        candidate('no4', 'harmful', { verdict: null, reward: null, format: false }),
        candidate('ok2', 'plain', { verdict: 'compliance' }),
        candidate('no5', 'plain', { verdict: 'refusal' }),
        candidate('no6', 'look-alike', { verdict: 'unusable' }),
      ],
      {},
      's',
    );
    expect(kept.map(({ request }) => request.id)).toEqual(['ok1', 'ok2']);
    expect(byKind).toEqual({
      harmful: { seen: 5, kept: 1, dropped: { ...none, outcome: 1, format: 1, cut: 1, unscorable: 1 } },
      plain: { seen: 2, kept: 1, dropped: { ...none, outcome: 1 } },
      'look-alike': { seen: 1, kept: 0, dropped: { ...none, outcome: 1 } },
    });
  });

  it('drops chains whose answer contradicts their analysis, where that is asked for', () => {
    const headings = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
    const chainOf = (id: string, analysis: string) => ({
      ...candidate(id, 'harmful', { verdict: 'refusal' }),
      chain: makeChain(id, { text: `### Analysis\n${analysis}\n\n### Final Response\nI can't help with that.` }),
    });
    const candidates = [
      chainOf('a', 'This is harmful, so I will decline.'),
      chainOf('b', 'This is safe, so I will answer.'),
      chainOf('c', 'This is a request.'),
      chainOf('e', 'This is safe under code 5: it is a game.'),
      chainOf('d', 'I could say I will answer, but I will not help.'),
    ];
    const ids = (consistentWith?: typeof headings) =>
      filterWarmStart(candidates, { consistentWith }, 's').kept.map(({ request }) => request.id);
    expect(ids()).toEqual(['a', 'b', 'c', 'e', 'd']);
    expect(ids(headings)).toEqual(['a', 'c', 'd']);
  });

  it('of plain answers asks for the outcome alone: no format, no stop token', () => {
    const candidates = [
      candidate('a', 'plain', { verdict: 'compliance', format: false, cut: true }),
      candidate('b', 'plain', { verdict: 'refusal', format: false }),
      candidate('c', 'harmful', { verdict: null, format: false }),
    ];
    const { kept, byKind } = filterWarmStart(candidates, { plainAnswers: true }, 's');
    expect(kept.map(({ request }) => request.id)).toEqual(['a']);
    expect(byKind.plain.dropped).toEqual({ ...none, outcome: 1 });
    expect(byKind.harmful.dropped).toEqual({ ...none, unscorable: 1 });
    expect(filterWarmStart(candidates, {}, 's').byKind.plain.dropped).toEqual({ ...none, format: 2 });
  });

  it('keeps so many of a kind, balanced over categories and chosen by the seed', () => {
    const candidates = ['privacy', 'hate', 'weapons'].flatMap((category) =>
      [1, 2, 3, 4].map((i) => candidate(`${category}${i}`, 'harmful', {}, category)),
    );
    const keep = { harmful: 3, plain: 0, lookAlike: 0 };
    const choose = (seed: string) => filterWarmStart(candidates, { keepPerKind: keep }, seed);
    expect(choose('s').kept.map(({ request }) => request.category)).toEqual(['privacy', 'hate', 'weapons']);
    expect(choose('s').byKind.harmful).toEqual({ seen: 12, kept: 3, dropped: { ...none, surplus: 9 } });
    expect(choose('s')).toEqual(choose('s'));
    const choices = new Set(
      [...'abcdef'].map((seed) =>
        choose(seed)
          .kept.map(({ request }) => request.id)
          .join(),
      ),
    );
    expect(choices.size).toBeGreaterThan(1);
  });

  it('trains the sampled ids on the raw request, without codes and cases', () => {
    const request = makeRequest('r');
    const chain = makeChain('r', { guidance: 'cases', caseIds: ['c'], sampleIndex: 2, tokens: [7, 8] });
    expect(warmStartPair({ chain, request })).toEqual({
      id: 'r/2',
      messages: [{ role: 'user', content: 'request r' }],
      completionTokens: [7, 8],
    });
  });
});
