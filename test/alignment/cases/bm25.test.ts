import { describe, expect, it } from 'vitest';
import { bm25, termsOf } from '../../../alignment/cases/bm25.ts';

const documents = ['kill a process', 'kill my neighbour, kill him', 'a warm coat'];

describe('bm25', () => {
  it('is the formula, worked by hand', () => {
    // Lengths 3, 5, 3: mean 11/3. "kill" stands in two of three documents: idf = ln(1 + 1.5 / 2.5); "coat" in one: ln(1 + 2.5 / 1.5).
    const score = bm25(documents, { k1: 1.2, b: 0.75 });
    const idfKill = Math.log(1.6);
    const idfCoat = Math.log(1 + 2.5 / 1.5);
    const lengthOf = (words: number) => 1.2 * (0.25 + (0.75 * words) / (11 / 3));
    expect(score('Kill the coat')).toEqual([
      expect.closeTo((idfKill * 1 * 2.2) / (1 + lengthOf(3)), 12),
      expect.closeTo((idfKill * 2 * 2.2) / (2 + lengthOf(5)), 12),
      expect.closeTo((idfCoat * 1 * 2.2) / (1 + lengthOf(3)), 12),
    ]);
    expect(score('Kill the coat')[0]).toBeCloseTo(0.5078, 4);
    expect(score('Kill the coat')[1]).toBeCloseTo(0.5863, 4);
  });

  it('with b = 0 length is nothing, with k1 = 0 a word counts once', () => {
    expect(bm25(documents, { k1: 0, b: 0.75 })('kill')).toEqual([Math.log(1.6), Math.log(1.6), 0]);
    const [once, twice] = bm25(documents, { k1: 1, b: 0 })('kill');
    expect(once).toBeCloseTo(Math.log(1.6), 12);
    expect(twice! / once!).toBeCloseTo(4 / 3, 12);
  });

  it('counts a word of the query as often as it is said, and unknown words not at all', () => {
    const score = bm25(documents, { k1: 1.2, b: 0.75 });
    expect(score('coat coat')[2]).toBeCloseTo(2 * score('coat')[2]!, 12);
    expect(score('nothing of this')).toEqual([0, 0, 0]);
    expect(score('')).toEqual([0, 0, 0]);
  });

  it('takes words without case, punctuation and width', () => {
    expect(termsOf('Kill-9: ＫＩＬＬ, naïve Σ!')).toEqual(['kill', '9', 'kill', 'naïve', 'σ']);
    expect(bm25(documents, { k1: 1.2, b: 0.75 })('KILL!')).toEqual(bm25(documents, { k1: 1.2, b: 0.75 })('kill'));
  });

  it('is defined over no documents', () => {
    expect(bm25([], { k1: 1.2, b: 0.75 })('kill')).toEqual([]);
  });
});
