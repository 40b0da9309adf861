import { describe, expect, it } from 'vitest';
import { iterationRequests, refillRequests, selectRequests } from '../../../alignment/evaluation/selectRequests.ts';
import { makeRequest } from '../makeLibrary.ts';

const categories = ['privacy', 'hate', 'weapons'];
const requests = (['harmful', 'plain', 'look-alike'] as const).flatMap((kind) =>
  categories.flatMap((category) => [1, 2, 3, 4].map((i) => makeRequest(`${kind}-${category}-${i}`, kind, category))),
);
const counts = (harmful: number, plain: number, lookAlike: number) => ({ harmful, plain, lookAlike });
const idsOf = (chosen: { id: string }[]) => chosen.map(({ id }) => id);

describe('selectRequests', () => {
  const select = (harmful: number, plain: number, lookAlike: number, seed = 's') =>
    selectRequests(requests, counts(harmful, plain, lookAlike), seed, 'library/requests/heldOut.jsonl');

  it('takes so many of each kind, balanced over categories', () => {
    const chosen = select(6, 3, 0);
    expect(chosen.map(({ kind }) => kind)).toEqual([
      ...Array<string>(6).fill('harmful'),
      ...Array<string>(3).fill('plain'),
    ]);
    for (const category of categories) {
      expect(chosen.filter((one) => one.kind === 'harmful' && one.category === category)).toHaveLength(2);
    }
    expect(new Set(idsOf(chosen)).size).toBe(9);
  });

  it('makes a smaller selection the beginning of a larger one', () => {
    const large = select(12, 12, 12);
    const small = select(5, 2, 3);
    for (const kind of ['harmful', 'plain', 'look-alike']) {
      const ofKind = (chosen: typeof large) => idsOf(chosen.filter((one) => one.kind === kind));
      expect(ofKind(large).slice(0, ofKind(small).length)).toEqual(ofKind(small));
    }
  });

  it('depends on the seed and not on the order of the file', () => {
    expect(idsOf(select(6, 0, 0))).not.toEqual(idsOf(select(6, 0, 0, 't')));
    expect(selectRequests([...requests].reverse(), counts(6, 2, 2), 's', 'f')).toEqual(select(6, 2, 2));
  });

  it('says which kind has too few, and where', () => {
    expect(() => select(1, 13, 0)).toThrow(
      'library/requests/heldOut.jsonl has 12 plain requests, but the configuration asks for 13',
    );
  });
});

describe('iterationRequests', () => {
  const iteration = (k: number, harmful: number, plain = 0) =>
    idsOf(iterationRequests(requests, counts(harmful, plain, 0), k, 's', 'f'));

  it('goes through every request once in an epoch, and in another order in the next', () => {
    const firstEpoch = [1, 2, 3].flatMap((k) => iteration(k, 4));
    const secondEpoch = [4, 5, 6].flatMap((k) => iteration(k, 4));
    expect(new Set(firstEpoch).size).toBe(12);
    expect(new Set(secondEpoch).size).toBe(12);
    expect(secondEpoch).not.toEqual(firstEpoch);
  });

  it('never holds a request twice, also where the epoch does not come out even', () => {
    for (let k = 1; k <= 12; k++) expect(new Set(iteration(k, 5, 7)).size).toBe(12);
  });

  it('is the same for the same iteration, and refuses more than there are', () => {
    expect(iteration(7, 5)).toEqual(iteration(7, 5));
    expect(() => iteration(1, 13)).toThrow('12 harmful requests');
  });
});

describe('refillRequests', () => {
  const own = counts(4, 2, 0);
  const used = (k: number) => new Set(idsOf(iterationRequests(requests, own, k, 's', 'f')));
  const refill = (k: number, further: ReturnType<typeof counts>, taken = used(k)) =>
    refillRequests(requests, { own, further }, k, 's', taken);

  it('takes so many of each kind that the iteration does not hold: those of the iterations that follow', () => {
    const further = refill(1, counts(2, 1, 3));
    expect(further.map(({ kind }) => kind)).toEqual(['harmful', 'harmful', 'plain']);
    for (const id of idsOf(further)) expect(used(1).has(id)).toBe(false);
    expect(idsOf(further).slice(0, 2)).toEqual(idsOf(iterationRequests(requests, own, 2, 's', 'f')).slice(0, 2));
  });

  it('begins again after the last, and gives fewer where no more are left', () => {
    expect(refill(3, counts(2, 0, 0))).toHaveLength(2);
    expect(refill(3, counts(20, 0, 0))).toHaveLength(8);
    expect(refill(3, counts(1, 1, 0), new Set(idsOf(requests)))).toEqual([]);
  });
});
