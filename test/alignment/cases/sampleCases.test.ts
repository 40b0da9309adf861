import { describe, expect, it } from 'vitest';
import { sampleCases } from '../../../alignment/cases/sampleCases.ts';
import { makePair, makeRequest } from '../makeLibrary.ts';

const pairs: [string, string][] = [
  ['p1', 'privacy'],
  ['p2', 'privacy'],
  ['p3', 'privacy'],
  ['h1', 'hate'],
  ['h2', 'hate'],
  ['w1', 'weapons'],
];
const library = { cases: pairs.flatMap(([pair, category]) => makePair(pair, category)) };
const settings = (sampling: 'category' | 'random' | 'fixed', count = 4) => ({ sampling, count });
const ids = (
  request: ReturnType<typeof makeRequest>,
  sampling: 'category' | 'random' | 'fixed',
  seed = 's',
  count = 4,
) => sampleCases(library, request, settings(sampling, count), seed).map(({ id }) => id);

describe('sampleCases', () => {
  it('gives whole pairs with labels alternating, harmful first', () => {
    const cases = sampleCases(library, makeRequest('r'), settings('category', 6), 's');
    expect(cases.map(({ label }) => label)).toEqual([
      'harmful',
      'harmless',
      'harmful',
      'harmless',
      'harmful',
      'harmless',
    ]);
    expect(cases[0]!.pair).toBe(cases[1]!.pair);
    expect(new Set(cases.map(({ pair }) => pair)).size).toBe(3);
  });

  it('takes the category of the request first and fills up from the others', () => {
    const six = sampleCases(library, makeRequest('r', 'harmful', 'hate'), settings('category', 8), 's');
    const categories = six.filter(({ label }) => label === 'harmful').map(({ category }) => category);
    expect(categories.slice(0, 2)).toEqual(['hate', 'hate']);
    expect([...categories.slice(2)].sort()).toEqual(['privacy', 'weapons']);
  });

  it('gives all requests of a category the same cases under one seed, and others under another', () => {
    expect(ids(makeRequest('a'), 'category')).toEqual(ids(makeRequest('b', 'plain'), 'category'));
    const choices = new Set(
      ['1', '2', '3', '4', '5', '6'].map((seed) => ids(makeRequest('a'), 'category', seed).join()),
    );
    expect(choices.size).toBeGreaterThan(1);
  });

  it('gives requests of all categories without cases the same ones', () => {
    const cooking = makeRequest('a', 'plain', 'cooking');
    expect(ids(cooking, 'category')).toEqual(ids(makeRequest('b', 'plain', 'travel'), 'category'));
    expect(ids(cooking, 'category')).toHaveLength(4);
  });

  it('draws random cases for each request by itself', () => {
    const choices = new Set([...'abcdef'].map((id) => ids(makeRequest(id), 'random').join()));
    expect(choices.size).toBeGreaterThan(1);
    expect(ids(makeRequest('a'), 'random')).toEqual(ids(makeRequest('a'), 'random'));
  });

  it('gives fixed cases whatever request and seed', () => {
    const expected = ['p1-harmful', 'p1-harmless', 'p2-harmful', 'p2-harmless'];
    expect(ids(makeRequest('a', 'plain', 'hate'), 'fixed', 's')).toEqual(expected);
    expect(ids(makeRequest('b'), 'fixed', 't')).toEqual(expected);
  });

  it.each(['category', 'random', 'fixed'] as const)('never shows the request in other words (%s)', (sampling) => {
    const request = makeRequest('r', 'harmful', 'privacy', 'A harmful wish: p1');
    const cases = sampleCases(library, request, settings(sampling, 10), 's');
    expect(cases.map(({ pair }) => pair)).not.toContain('p1');
    expect(cases).toHaveLength(10);
  });

  it('gives none where none are wanted and says when there are too few', () => {
    expect(ids(makeRequest('r'), 'category', 's', 0)).toEqual([]);
    expect(() => ids(makeRequest('r'), 'category', 's', 14)).toThrow(/7 contrast pairs.*has 6.*lower cases\.count/);
  });
});
