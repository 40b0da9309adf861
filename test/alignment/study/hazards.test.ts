import { describe, expect, it } from 'vitest';
import { hexPhiCategories, sorryBenchCategories } from '../../../alignment/benchmarks/benchmarkCategories.ts';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { withholdHazards } from '../../../alignment/library/withholdHazards.ts';
import { hazardOf, hazardsAsStored, hazardsOfQuestions, storedHazards } from '../../../alignment/study/hazards.ts';
import { readLibraryFiles } from '../../../cli/operate/libraryFiles.ts';
import { goalDigest } from '../../../alignment/study/outcomes.ts';
import { libraryFiles, makeRequest } from '../makeLibrary.ts';

const lines = (rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
/** A library of one's own whose code alone says which benchmark questions are about its hazard. */
const files = {
  ...libraryFiles(),
  'codes/detailed/privacy.md': '---\ncategory: privacy\nbenchmarkCategories: [Spying]\n---\nPrivacy.\n',
  'requests/training.jsonl': lines([makeRequest('t1'), makeRequest('t2', 'harmful', 'hate')]),
  'requests/development.jsonl': lines([makeRequest('d1', 'harmful', 'hate')]),
};
const question = (goal: string, category: string, kind: 'harmful' | 'look-alike' | 'utility' = 'harmful') => ({
  ...{ goal, category, kind },
});
const questions = [
  question('a', 'Spying'),
  question('b', 'hate', 'look-alike'),
  question('c', 'homonyms'),
  question('d', 'privacy', 'utility'),
];

describe('the hazards of questions', () => {
  const [whole, left] = [parseLibrary(files), parseLibrary(withholdHazards(files, ['privacy']))];
  const hazards = hazardsOfQuestions(questions, [whole], ['privacy']);

  it('are what the codes of the library say, also of a hazard that arms do not see', () => {
    expect([...hazards.ofGoal]).toEqual([
      [goalDigest('a'), 'privacy'],
      [goalDigest('b'), 'hate'],
    ]);
    expect(hazards.withheld).toEqual(['privacy']);
  });

  it('are lost with its code: of a library that is thinned they can not be told', () => {
    expect([...hazardsOfQuestions(questions, [left], ['privacy']).ofGoal.values()]).toEqual(['hate']);
    // Of several libraries one that knows is enough.
    expect(hazardsOfQuestions(questions, [left, whole], ['privacy'])).toEqual(hazards);
  });

  it('come back from JSON as they were', () => {
    const written = JSON.stringify(storedHazards(hazards));
    expect(hazardsAsStored(JSON.parse(written) as ReturnType<typeof storedHazards>)).toEqual(hazards);
  });
});

it('benchmarks that number their categories have hazards of the shipped library for all but those of several or none', async () => {
  const { detailed } = parseLibrary(await readLibraryFiles(undefined)).codes;
  const shipped = new Set(detailed.flatMap(({ category }) => category ?? []));
  expect(hexPhiCategories).toHaveLength(10);
  expect(hexPhiCategories.filter((name) => !shipped.has(hazardOf(name, detailed)))).toEqual([
    'hate, harassment, violence',
    'tailored financial advice',
  ]);
  expect(sorryBenchCategories).toHaveLength(44);
  const told = sorryBenchCategories.map((name) => hazardOf(name, detailed)).filter((hazard) => shipped.has(hazard));
  expect(told).toHaveLength(25);
  // All but weapons and elections, of which it has no category of its own.
  expect(new Set(told).size).toBe(shipped.size - 2);
});
