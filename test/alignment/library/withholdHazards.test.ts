import { describe, expect, it } from 'vitest';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { hazardsOf, withholdHazards } from '../../../alignment/library/withholdHazards.ts';
import { readFiles, shippedLibraries } from '../../library/readLibrary.ts';
import { libraryFiles, makeRequest } from '../makeLibrary.ts';

const lines = (rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const files = {
  ...libraryFiles(),
  'requests/training.jsonl': lines([
    makeRequest('t1'),
    makeRequest('t2', 'plain', 'cooking'),
    makeRequest('t3', 'look-alike'),
    makeRequest('t4', 'harmful', 'hate'),
  ]),
  'requests/development.jsonl': lines([makeRequest('d1'), makeRequest('d2', 'look-alike', 'hate')]),
};
const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);

describe('withholdHazards', () => {
  it("leaves out a hazard's codes, pairs of cases, training and development requests, and no held-out ones", () => {
    const left = parseLibrary(withholdHazards(files, ['privacy']));
    expect(left.codes.detailed.map(({ path }) => path)).toEqual(['codes/detailed/tiers.md']);
    expect(left.codes.simple.text).toBe('Do no harm.');
    expect(ids(left.cases)).toEqual(['p2-harmful', 'p2-harmless']);
    expect(ids(left.requests.training)).toEqual(['t2', 't4']);
    expect(ids(left.requests.development)).toEqual(['d2']);
    expect(ids(left.requests.heldOut)).toEqual(['h1']);
  });

  it('changes no file where nothing is withheld', () => {
    expect(withholdHazards(files, [])).toEqual(files);
  });

  it.each(shippedLibraries)('leaves every other hazard of the $name library as it was', ({ hazards, counts, ...folder }) => {
    const shipped = readFiles(folder);
    const withheld = hazards.slice(-2);
    const [whole, left] = [parseLibrary(shipped), parseLibrary(withholdHazards(shipped, withheld))];
    expect(hazardsOf(whole)).toEqual(new Set(hazards));
    const others = <T extends { category?: string }>(rows: readonly T[]) =>
      rows.filter(({ category }) => category === undefined || !withheld.includes(category));
    expect(left.cases).toEqual(others(whole.cases));
    expect(left.cases).toHaveLength(4 * (hazards.length - 2));
    expect(left.codes.detailed).toEqual(others(whole.codes.detailed));
    expect(left.codes.detailed).toHaveLength(hazards.length - 1);
    expect(left.requests.training).toEqual(others(whole.requests.training));
    for (const split of ['training', 'development'] as const) {
      const { harmful, 'look-alike': lookAlike } = counts[split];
      expect(left.requests[split]).toHaveLength(whole.requests[split].length - 2 * (harmful + lookAlike));
    }
    expect(left.requests.heldOut).toEqual(whole.requests.heldOut);
  });
});
