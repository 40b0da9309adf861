import { describe, expect, it } from 'vitest';
import { testHypotheses } from '../../../alignment/study/hypotheses.ts';
import type { Hypothesis } from '../../../alignment/study/hypothesisSchema.ts';
import { hypothesisTable } from '../../../alignment/study/hypothesisTable.ts';
import { studyFigures } from '../../../alignment/study/studyFigures.ts';
import { renderStudyPage } from '../../../alignment/study/studyPage.ts';
import type { StudyResult } from '../../../alignment/study/studyResult.ts';
import { latexTable, markdownTables } from '../../../alignment/study/studyTables.ts';
import { measuredUnit, ones } from './studyUnits.ts';

const settings = { refusalBy: 'phrases', bootstrapSamples: 2000, seed: '1' } as const;
const units = [
  measuredUnit('none', { harmful: ones(0, 40), utility: ones(20, 40) }),
  measuredUnit('cada', { harmful: ones(38, 40), utility: ones(0, 40) }),
];
const better = { figure: 'harmlessness', arm: 'cada', against: 'none', direction: 'higher', margin: 0.1 } as const;
const hypotheses: Hypothesis[] = [
  { claim: 'cases <b>help</b> & more | less', ...better },
  { claim: 'utility is kept', all: [better, { ...better, figure: 'utility/mmlu', direction: 'no-worse' }] },
];
const result: StudyResult = {
  ...{ studyId: 'test-1', name: 'test' },
  settings: {
    ...{ seeds: [1], suites: [{ suite: 'xstest' }], attacks: [] },
    ...{ maxNewTokens: 64, questionSeed: 1, bootstrapSamples: 2000 },
  },
  arms: ['none', 'cada'].map((name) => ({ name, trained: false, asked: 'none' })),
  models: [{ model: 'm', name: 'm', digest: null }],
  ...{ units: [], failed: [] },
  figures: studyFigures(units, settings),
  hypotheses: testHypotheses(hypotheses, units, { ...settings, models: ['m'], incomplete: [] }),
};
const { hypotheses: _hypotheses, ...unclaimed } = result;

describe('the table of hypotheses', () => {
  it('has a row for each, and for each part of one that has several', () => {
    const { head, rows } = hypothesisTable(result)!;
    expect(head).toEqual(['claim', 'verdict', 'claimed', 'difference', 'n', 'p (Holm)', 'why']);
    expect(rows.map((row) => row.slice(0, 3))).toEqual([
      ['cases <b>help</b> & more | less', 'supported', 'harmlessness: cada higher than none by 0.1'],
      ['utility is kept', 'contradicted', ''],
      ['', 'supported', 'harmlessness: cada higher than none by 0.1'],
      ['', 'contradicted', 'utility/mmlu: cada no worse than none (margin 0.1)'],
    ]);
    expect(rows[0]![3]).toMatch(/^\+0\.95 \[\+0\.\d\d, \+1\.00\]$/);
    expect(rows[0]!.slice(4)).toEqual(['40', '0.003', 'the interval lies above 0, by the margin or more']);
    expect(rows[1]!.slice(3)).toEqual(['', '', '', '1 of 2 parts supported']);
  });

  it('names the model where there are several', () => {
    const models = ['m', 'o'].map((model) => ({ model, name: model, digest: null }));
    const { head, rows } = hypothesisTable({ ...result, models })!;
    expect(head[2]).toBe('model');
    expect(rows.map((row) => row.length)).toEqual(rows.map(() => head.length));
  });

  it('stands near the top of the page, escaped', () => {
    const page = renderStudyPage(result);
    expect(page).toContain('1 supported, 1 contradicted, 0 undecided');
    expect(page).toContain('cases &lt;b&gt;help&lt;/b&gt; &amp; more');
    expect(page).not.toContain('<b>help');
    expect(page.indexOf('<h2>Hypotheses</h2>')).toBeLessThan(page.indexOf('<h3>Differences between arms'));
    expect(page).toContain('over all comparisons of the hypotheses');
  });

  it('is among the tables for Markdown and LaTeX', () => {
    const markdown = markdownTables(result);
    expect(markdown).toMatch(
      /^# test\n\n## Hypotheses\n\n\| claim \|.*\n.*\n\| cases <b>help<\/b> & more \\\| less \| supported/,
    );
    const latex = latexTable(result);
    expect(latex.match(/\\begin\{tabular\}/g)).toHaveLength(2);
    expect(latex).toContain('cases $<$b$>$help$<$/b$>$ \\& more | less & supported & ');
  });

  it('is nowhere in a study that claims nothing', () => {
    expect(hypothesisTable(unclaimed)).toBeUndefined();
    for (const text of [renderStudyPage(unclaimed), markdownTables(unclaimed), latexTable(unclaimed)])
      expect(text.toLowerCase()).not.toContain('hypothes');
  });
});
