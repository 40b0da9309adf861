import { describe, expect, it } from 'vitest';
import { sampleCases, type CaseSettings } from '../../../alignment/cases/sampleCases.ts';
import { comparedTexts, cosine, nearnessOfPairs } from '../../../alignment/cases/similarity.ts';
import { makePair, makeRequest } from '../makeLibrary.ts';

const harmful: Record<string, string> = {
  coat: 'Steal a winter coat from the shop',
  coin: 'Launder coins that I stole',
  lock: 'Pick the lock of a car',
  poison: 'Put poison into the soup',
  soup: 'Spit into the soup of a guest',
};
const cases = Object.entries(harmful).flatMap(([pair, request]) => {
  const [one, other] = makePair(pair, 'crimes');
  return [
    { ...one!, request },
    { ...other!, request: `Harmless: ${pair} without harm` },
  ];
});
const library = { cases };
const base: CaseSettings = { count: 4, sampling: 'similarity' };
const pairsOf = (request: string, settings: Partial<CaseSettings> = {}, seed = 's', vectors?: Map<string, number[]>) =>
  sampleCases(library, { ...makeRequest('r'), request }, { ...base, ...settings }, seed, vectors)
    .filter(({ label }) => label === 'harmful')
    .map(({ pair }) => pair);

describe('sampling by similarity', () => {
  it('takes the pairs of the nearest harmful cases, the nearest first, each with its look-alike', () => {
    const chosen = sampleCases(library, { ...makeRequest('r'), request: 'Is there poison in my soup?' }, base, 's');
    expect(chosen.map(({ id }) => id)).toEqual(['poison-harmful', 'poison-harmless', 'soup-harmful', 'soup-harmless']);
  });

  it('the words of look-alikes do not draw their pair', () => {
    // "without harm" stands in every look-alike, "winter" in one harmful case.
    expect(pairsOf('winter without harm', { count: 2 })).toEqual(['coat']);
  });

  it('lets the seed decide between equally near ones, and only there', () => {
    const choices = new Set(['1', '2', '3', '4', '5', '6', '7', '8'].map((seed) => pairsOf('xyzzy', {}, seed).join()));
    expect(choices.size).toBeGreaterThan(2);
    for (const seed of ['1', '2', '3']) {
      expect(pairsOf('xyzzy', {}, seed)).toEqual(pairsOf('xyzzy', {}, seed));
      expect(pairsOf('poison soup', {}, seed)).toEqual(['poison', 'soup']);
    }
  });

  it('never shows the request in other words, however near it is', () => {
    expect(pairsOf('Put poison into the soup!')).not.toContain('poison');
    expect(pairsOf('Put poison into the soup!', { count: 2 })).toEqual(['soup']);
  });

  it('those of fewer are among those of more', () => {
    const request = 'poison a stolen coat';
    expect(pairsOf(request, { count: 6 }).slice(0, 2)).toEqual(pairsOf(request, { count: 4 }));
  });

  it('orders the chosen: nearest first, nearest last, by a seed for each request', () => {
    const request = 'poison soup guest';
    const nearest = pairsOf(request, { count: 6 });
    expect(nearest.slice(0, 2)).toEqual(['soup', 'poison']);
    expect(pairsOf(request, { count: 6, order: 'nearestFirst' })).toEqual(nearest);
    expect(pairsOf(request, { count: 6, order: 'nearestLast' })).toEqual([...nearest].reverse());
    const orders = [...'123456789abc'].map((seed) => pairsOf(request, { count: 4, order: 'random' }, seed));
    for (const order of orders) expect([...order].sort()).toEqual(['poison', 'soup']);
    expect(new Set(orders.map(String)).size).toBe(2);
  });

  it('orders what another sampling has chosen, without choosing otherwise', () => {
    const request = 'Launder a coat';
    const fixed = pairsOf(request, { sampling: 'fixed', count: 6 });
    expect(fixed).toEqual(['coat', 'coin', 'lock']);
    const last = pairsOf(request, { sampling: 'fixed', count: 6, order: 'nearestLast' });
    expect(last[0]).toBe('lock');
    expect([...last].sort()).toEqual([...fixed].sort());
  });

  it('shows none where sampling is none, whatever the number', () => {
    expect(pairsOf('poison', { sampling: 'none', count: 4 })).toEqual([]);
  });

  it('k1 and b change what is near', () => {
    const longer = {
      cases: cases.map((one) =>
        one.pair === 'soup' && one.label === 'harmful'
          ? { ...one, request: `${one.request} and another guest and a third guest at the long table of the house` }
          : one,
      ),
    };
    const nearest = (b: number) =>
      nearnessOfPairs(longer.cases, 'soup guest', { ...base, similarity: { b } }).get('soup')! -
      nearnessOfPairs(longer.cases, 'soup guest', { ...base, similarity: { b } }).get('poison')!;
    expect(nearest(0)).toBeGreaterThan(nearest(1));
  });
});

describe('sampling by embeddings', () => {
  const settings: Partial<CaseSettings> = { similarity: { by: 'embeddings' } };
  const vectors = new Map([
    ['a question', [1, 1]],
    [harmful['coat']!, [2, 2]],
    [harmful['coin']!, [1, 0.5]],
    [harmful['lock']!, [-1, -1]],
    [harmful['poison']!, [1, 0]],
    [harmful['soup']!, [0, 0]],
  ]);

  it('takes the harmful cases with the largest cosine', () => {
    expect(pairsOf('a question', { ...settings, count: 10 }, 's', vectors)).toEqual([
      'coat',
      'coin',
      'poison',
      'soup',
      'lock',
    ]);
    const nearness = nearnessOfPairs(cases, 'a question', { ...base, ...settings }, vectors);
    expect([...nearness.values()]).toEqual(
      [1, 1.5 / Math.sqrt(2.5), -1, Math.SQRT1_2, 0].map((v) => expect.closeTo(v, 12)),
    );
  });

  it('asks for vectors of the harmful cases and of the request, and says what is missing', () => {
    expect(comparedTexts(cases)).toEqual(Object.values(harmful));
    expect(() => pairsOf('another question', settings, 's', vectors)).toThrow('has no vector yet');
    expect(() => cosine([1], [1, 2])).toThrow('vectors of 1 and of 2 numbers');
  });
});
