import { expect, test } from 'vitest';
import { studyFigures } from '../../../alignment/study/studyFigures.ts';
import { renderStudyPage } from '../../../alignment/study/studyPage.ts';
import type { StudyResult } from '../../../alignment/study/studyResult.ts';
import { differenceTables, latexTable, markdownTables } from '../../../alignment/study/studyTables.ts';
import { measuredUnit, ones } from './studyUnits.ts';

const settings = { refusalBy: 'phrases', bootstrapSamples: 200, seed: '1' } as const;
const arms = ['none', 'cada'];

/** Two arms that answer alike: no spread at all. */
const alike = (harmful: number, safe: number): StudyResult => ({
  ...{ studyId: 'test-1', name: 'test', units: [], failed: [] },
  settings: {
    ...{ seeds: [1], suites: [{ suite: 'xstest' }], attacks: [] },
    ...{ maxNewTokens: 64, questionSeed: 1, bootstrapSamples: 200 },
  },
  arms: arms.map((name) => ({ name, trained: false, asked: 'none' })),
  models: [{ model: 'm', name: 'm', digest: null }],
  figures: studyFigures(
    arms.map((arm) => measuredUnit(arm, { harmful: ones(harmful / 2, harmful), safe: ones(1, safe) })),
    settings,
  ),
});
const shown = (result: StudyResult) =>
  differenceTables(result)[0]!.rows.map((row) => [
    row[4],
    row[differenceTables(result)[0]!.head.indexOf('shown at 80 % power')],
  ]);

test('say what so many questions could have shown, where no two answers differ too', () => {
  // By pairedPower.test.ts: .242 of 30, .0762 of 100 ((1.959964 + .841621 * .961145)^2 / .0762 = 100.4), and none of 3.
  expect(shown(alike(30, 3))).toEqual([
    ['30', '≥ 0.25'],
    ['3', 'none'],
  ]);
  expect(shown(alike(100, 100))[0]).toEqual(['100', '≥ 0.08']);
});

test('name the measures that are too small to show a difference of .10, alike in every form', () => {
  const result = alike(30, 3);
  const written = [markdownTables(result), latexTable(result), renderStudyPage(result).replaceAll('&#39;', "'")];
  for (const text of written) {
    expect(text).toContain(
      "harmlessness (string refusal): a difference of 0.10 can't be shown at 80 % power in 1 of 1 pairs of arms (with 30 questions only 0.25 or more)",
    );
    expect(text).toContain(
      "over-refusal: a difference of 0.10 can't be shown at 80 % power in 1 of 1 pairs of arms (with 3 questions none)",
    );
    expect(text).toContain('Shown at 80 % power: the smallest difference');
    expect(text).not.toContain('too few questions');
  }
  expect(markdownTables(alike(100, 100))).not.toContain("can't be shown");
});
