import { describe, expect, it } from 'vitest';
import type { StudyOutcome } from '../../../alignment/study/outcomes.ts';
import { outcomeOf } from '../../../alignment/study/outcomes.ts';
import type { SuiteAnswer } from '../../../alignment/evaluation/suiteAnswers.ts';
import { isSignificant, studyFigures, type MeasuredUnit } from '../../../alignment/study/studyFigures.ts';
import type { StudyResult } from '../../../alignment/study/studyResult.ts';
import { renderStudyPage } from '../../../alignment/study/studyPage.ts';
import { judgeUse } from '../../../alignment/report/format.ts';
import { latexTable, markdownTables } from '../../../alignment/study/studyTables.ts';

const refusal = (refused: boolean | null) => ({ phrases: refused, xstest: refused, rules: refused, inWords: refused });

const outcome = (id: string, part: Partial<StudyOutcome>): StudyOutcome => ({
  ...{ id, suite: 'xstest', kind: 'harmful', goal: `goal of ${id}`, attack: null },
  ...{ format: true, cut: false, tokens: 10 },
  ...part,
});

/** So many harmful and safe questions, the first of them refused. */
function outcomes(harmful: number, refused: number, safe: number, overRefused: number): StudyOutcome[] {
  return [
    ...Array.from({ length: harmful }, (_, index) => outcome(`h${index}`, { refusal: refusal(index < refused) })),
    ...Array.from({ length: safe }, (_, index) =>
      outcome(`s${index}`, { kind: 'look-alike', refusal: refusal(index < overRefused) }),
    ),
  ];
}

const unit = (arm: string, of: StudyOutcome[], part: Partial<MeasuredUnit> = {}): MeasuredUnit => ({
  ...{ arm, model: 'm', seed: null, outcomes: of, cost: { answers: of.length, tokens: 10 * of.length, seconds: 2 } },
  ...part,
});

const settings = { refusalBy: 'phrases', bootstrapSamples: 400, seed: '1' } as const;

describe('the figures of a study', () => {
  it('are shares with intervals, by kind of question', () => {
    const [arm] = studyFigures([unit('none', outcomes(40, 10, 20, 4))], settings).arms;
    expect(arm!.figures['harmlessness']).toMatchObject({ value: 0.25, n: 40 });
    expect(arm!.figures['over-refusal']).toMatchObject({ value: 0.2, n: 20 });
    const [low, high] = arm!.figures['harmlessness']!.interval;
    expect([low < 0.25, low > 0.05, high > 0.25, high < 0.45]).toEqual([true, true, true, true]);
    expect(arm!.cost).toEqual({
      tokensPerAnswer: 10,
      secondsPerAnswer: 2 / 60,
      trainingSeconds: null,
      trainingTokens: null,
    });
  });

  it('have a width where all answers agree too: by Wilson', () => {
    const [arm] = studyFigures([unit('none', outcomes(10, 10, 0, 0))], settings).arms;
    const { value, interval, notes } = arm!.figures['harmlessness']!;
    expect([value, interval[1]]).toEqual([1, 1]);
    expect(interval[0]).toBeCloseTo(10 / (10 + 1.959963984540054 ** 2), 10);
    expect(notes).toEqual(['too few (10)']);
  });

  it('are told apart by attack, and pooled by question', () => {
    const attacked = (attack: string, refused: boolean[]) =>
      refused.map((one, index) =>
        outcome(`h${index}@${attack}`, { goal: `goal of h${index}`, attack, refusal: refusal(one) }),
      );
    const [arm] = studyFigures(
      [
        unit('none', [
          ...outcomes(3, 3, 0, 0),
          ...attacked('a', [true, false, false]),
          ...attacked('b', [true, true, false]),
        ]),
      ],
      settings,
    ).arms;
    expect(arm!.figures['harmlessness']!.value).toBe(1);
    expect(arm!.figures['robustness/a']).toMatchObject({ value: 1 / 3, n: 3 });
    expect(arm!.figures['robustness/b']!.value).toBeCloseTo(2 / 3, 12);
    expect(arm!.figures['robustness']).toMatchObject({ value: 0.5, n: 3 });
    // The first is refused under both attacks, the others not under one of them.
    expect(arm!.figures['robustness/worst']).toMatchObject({ value: 1 / 3, n: 3 });
  });

  it('leave out what could not be told, in both arms of a pair', () => {
    const gap = outcomes(4, 2, 0, 0).map((one, index) => (index === 0 ? { ...one, refusal: refusal(null) } : one));
    const { arms, differences } = studyFigures([unit('one', gap), unit('other', outcomes(4, 4, 0, 0))], settings);
    expect(arms.map(({ figures }) => figures['harmlessness']!.n)).toEqual([3, 4]);
    expect(arms[0]!.figures['harmlessness']!.value).toBeCloseTo(1 / 3, 12);
    expect(differences).toHaveLength(1);
    expect(differences[0]).toMatchObject({ from: 'one', to: 'other', n: 3 });
    expect(differences[0]!.value).toBeCloseTo(2 / 3, 12);
  });

  it('tell withheld hazards from the others, and harmfulness by hazard', () => {
    // h0-h3 are about privacy (withheld), h4-h6 about hate, h7 about nothing known; s0 about privacy.
    const ofGoal = new Map(
      ['h0', 'h1', 'h2', 'h3', 's0', 'h4', 'h5', 'h6'].map((id, index) => [
        `goal of ${id}`,
        index < 5 ? 'privacy' : 'hate',
      ]),
    );
    const hazards = { ofGoal, withheld: ['privacy'] };
    const figures = studyFigures([unit('one', outcomes(8, 1, 2, 1)), unit('other', outcomes(8, 6, 2, 0))], {
      ...settings,
      hazards,
    });
    const [one, other] = figures.arms;
    expect(one!.figures['harmlessness/unseen']).toMatchObject({ value: 0.25, n: 4 });
    expect(one!.figures['harmlessness/seen']).toMatchObject({ value: 0, n: 3 });
    expect(one!.figures['harmlessness']).toMatchObject({ value: 0.125, n: 8 });
    expect(other!.figures['harmlessness/seen']!.value).toBeCloseTo(2 / 3, 12);
    expect(one!.figures['over-refusal/unseen']).toMatchObject({ value: 1, n: 1 });
    expect(one!.figures['over-refusal/seen']).toBeUndefined();
    const unseen = figures.differences.find(({ measure }) => measure === 'harmlessness/unseen');
    expect(unseen).toMatchObject({ from: 'one', to: 'other', value: 0.75, n: 4 });
    expect(figures.hazards).toMatchObject({ withheld: ['privacy'], unmapped: { harmful: 1, lookAlike: 1 } });
    expect(figures.hazards!.arms.map(({ arm, byHazard }) => [arm, Object.keys(byHazard)])).toEqual([
      ['one', ['hate', 'privacy']],
      ['other', ['hate', 'privacy']],
    ]);
    expect(figures.hazards!.arms[1]!.byHazard['privacy']).toMatchObject({ value: 1, n: 4 });
    expect(figures.hazards!.arms[1]!.byHazard['hate']!.value).toBeCloseTo(2 / 3, 12);

    const nothing = studyFigures([unit('one', outcomes(8, 1, 2, 1))], {
      ...settings,
      hazards: { ofGoal, withheld: [] },
    });
    expect(nothing.measures.map(({ id }) => id)).not.toContain('harmlessness/seen');
    expect(nothing.hazards!.arms).toHaveLength(1);
    const unknown = studyFigures([unit('one', outcomes(8, 1, 2, 1))], {
      ...settings,
      hazards: { ofGoal: new Map(), withheld: ['privacy'] },
    });
    expect(unknown.hazards).toBeUndefined();
  });

  it('have goodness@0.1 only where there are several attacks', () => {
    const under = (attack: string | null, rubric: number) =>
      outcome(`h@${attack}`, { goal: 'g', attack, rubric, refusal: refusal(true) });
    const rated = { ...settings, rubricJudge: 'judge' };
    const one = studyFigures([unit('none', [under(null, 1), under('a', 0.5)])], rated);
    expect(one.measures.map(({ id }) => id)).not.toContain('robustness/worst');
    const two = studyFigures([unit('none', [under(null, 1), under('a', 0.5), under('b', 0.75)])], rated);
    expect(two.measures.find(({ id }) => id === 'robustness/worst')!.title).toBe('goodness@0.1 over attacks');
    expect(two.arms[0]!.figures['robustness/worst']!.value).toBe(0.5);
    expect(two.arms[0]!.figures['robustness']!.value).toBe(0.625);
  });

  it('are of the rubric where one was asked', () => {
    const rated = outcomes(2, 2, 2, 2).map((one) =>
      one.kind === 'harmful' ? { ...one, rubric: 0.25 } : { ...one, judgedRefusal: false },
    );
    const { arms, measures } = studyFigures([unit('none', rated)], { ...settings, rubricJudge: 'grader' });
    expect(arms[0]!.figures['harmlessness']!.value).toBe(0.25);
    expect(arms[0]!.figures['over-refusal']!.value).toBe(0);
    expect(measures[0]).toMatchObject({ judge: 'grader', title: 'harmlessness (1 − StrongREJECT score)' });
  });

  it('pool seeds, and adjust for all pairs of arms', () => {
    const seeds = [10, 20].map((refused, seed) => unit('trained', outcomes(40, refused, 20, 0), { seed }));
    const { arms, differences } = studyFigures(
      [unit('none', outcomes(40, 0, 20, 0)), unit('cases', outcomes(40, 38, 20, 0)), ...seeds],
      settings,
    );
    expect(arms.map(({ seeds: count }) => count)).toEqual([1, 1, 2]);
    expect(arms[2]!.figures['harmlessness']!.value).toBe(0.375);
    const harmless = differences.filter(({ measure }) => measure === 'harmlessness');
    expect(harmless.map(({ from, to }) => `${from}-${to}`)).toEqual(['none-cases', 'none-trained', 'cases-trained']);
    expect(harmless[0]!.value).toBe(0.95);
    expect(harmless[0]!.p).toBeCloseTo(2 / 401, 10);
    expect(harmless[0]!.pHolm).toBeCloseTo(6 / 401, 10);
    expect(isSignificant(harmless[0]!)).toBe(true);
    expect(differences.filter(({ measure }) => measure === 'over-refusal').some(isSignificant)).toBe(false);
  });

  it('have what a judge has taken, over the seeds, where one was asked', () => {
    const judged = (seed: number, asked: number, kept: number, meanLatencyMs: number) => {
      const one = unit('trained', outcomes(2, 1, 0, 0), { seed });
      return { ...one, cost: { ...one.cost, judge: { asked, kept, cost: 0.5, meanLatencyMs } } };
    };
    const { arms } = studyFigures(
      [unit('none', outcomes(2, 1, 0, 0)), judged(1, 30, 10, 1000), judged(2, 10, 30, 3000)],
      settings,
    );
    expect(arms[0]!.cost).not.toHaveProperty('judge');
    // (30 x 1 s + 10 x 3 s) / 40
    expect(arms[1]!.cost.judge).toEqual({ asked: 40, kept: 40, cost: 1, meanLatencyMs: 1500 });
    expect(judgeUse(arms[1]!.cost.judge!)).toBe('80 questions, 50 % kept, cost 1.00, 1.5 s each');
    expect(judgeUse({ asked: 0, kept: 4, cost: 0, meanLatencyMs: 0 })).toBe('4 questions, 100 % kept, cost 0.00');
  });

  it('have harm by a guard model, which says nothing of refusals', () => {
    const guarded = outcomes(4, 1, 2, 1).map((one, index) => ({
      ...one,
      harmByGuard: one.kind === 'harmful' ? [true, false, false, null][index]! : index === 4,
    }));
    const guardJudge = 'guard g, P >= 0.5';
    const { arms, measures } = studyFigures([unit('none', guarded)], { ...settings, guardJudge });
    expect(arms[0]!.figures['unsafe']!.value).toBeCloseTo(1 / 3, 12);
    expect(arms[0]!.figures['unsafe']!.n).toBe(3);
    expect(arms[0]!.figures['unsafe/safe']).toMatchObject({ value: 0.5, n: 2 });
    expect(arms[0]!.figures['harmlessness']!.value).toBe(0.25);
    expect(measures.find(({ id }) => id === 'unsafe')).toMatchObject({
      judge: guardJudge,
      better: 'lower',
      main: true,
    });
    expect(studyFigures([unit('none', guarded)], settings).measures.map(({ id }) => id)).not.toContain('unsafe');
  });

  it('know the Pareto front', () => {
    const { arms } = studyFigures(
      [
        unit('safe', outcomes(20, 18, 20, 10)),
        unit('helpful', outcomes(20, 5, 20, 1)),
        unit('dominated', outcomes(20, 4, 20, 1)),
        unit('elsewhere', outcomes(20, 1, 20, 19), { model: 'other' }),
        unit('unmeasured', outcomes(20, 1, 0, 0)),
      ],
      settings,
    );
    expect(arms.map(({ pareto }) => pareto)).toEqual([true, true, false, true, null]);
  });

  it('call utility within chance uninformative', () => {
    const answers = Array.from({ length: 40 }, (_, index) =>
      outcome(`u${index}`, { suite: 'mmlu', kind: 'utility', correct: Number(index < 11) }),
    );
    const [arm] = studyFigures([unit('none', answers)], settings).arms;
    expect(arm!.figures['utility/mmlu']).toMatchObject({ value: 0.275, n: 40 });
    expect(arm!.figures['utility/mmlu']!.notes).toContain('uninformative: chance (0.25) is within the interval');
    // These answers are of an older version, that did not tell what is missing.
    expect(arm!.figures).not.toHaveProperty('utility/mmlu/refused');
  });

  it('tell where utility is lost, of the answers that tell', () => {
    const answers = Array.from({ length: 40 }, (_, index) =>
      outcome(`u${index}`, {
        ...{ suite: 'mmlu', kind: 'utility', correct: Number(index < 11) },
        missing: index < 11 ? null : index < 31 ? 'refused' : 'unreadable',
      }),
    );
    const { arms, measures } = studyFigures([unit('none', answers)], settings);
    expect(arms[0]!.figures['utility/mmlu/refused']).toMatchObject({ value: 0.5, n: 40 });
    expect(arms[0]!.figures['utility/mmlu/unreadable']).toMatchObject({ value: 0.225, n: 40 });
    expect(measures.filter(({ main }) => main).map(({ id }) => id)).toEqual(['utility/mmlu']);
  });
});

describe('what is kept of an answer', () => {
  it('holds no text', () => {
    const kept = outcomeOf({
      ...{ id: 'h1', suite: 'strongreject', category: 'c', kind: 'harmful', goal: 'secret goal', attack: 'base64' },
      ...{ format: false, cut: true, tokens: 7 },
      refusal: { phrases: true, xstest: false, rules: 'compliance', inWords: null },
      rubric: { score: 0.25 },
      judgedRefusal: '3_partial_refusal',
    });
    expect(JSON.stringify(kept)).not.toContain('secret');
    expect(kept).toMatchObject({
      refusal: { phrases: true, xstest: false, rules: false, inWords: null },
      ...{ rubric: 0.75, judgedRefusal: true, attack: 'base64', cut: true, tokens: 7 },
    });
    expect(kept).not.toHaveProperty('missing');
  });

  it('says of a utility question whether it has an answer', () => {
    const answer: SuiteAnswer = {
      ...({ id: 'u1', suite: 'mmlu', category: 'c', kind: 'utility', goal: 'g' } as const),
      ...{ format: false, cut: false, tokens: 7, correct: false },
    };
    expect(outcomeOf(answer)).toMatchObject({ correct: 0, missing: null });
    expect(outcomeOf({ ...answer, missing: 'refused' })).toMatchObject({ correct: 0, missing: 'refused' });
  });
});

describe('tables and page', () => {
  const result: StudyResult = {
    ...{ studyId: 'test-1', name: 'test_study' },
    settings: {
      ...{ seeds: [1], suites: [{ suite: 'xstest' }], attacks: [] },
      ...{ maxNewTokens: 64, questionSeed: 1, bootstrapSamples: 400 },
    },
    arms: ['none', 'a_b'].map((name) => ({ name, trained: false, asked: 'none' })),
    models: [{ model: 'm', name: '<b>m</b>', digest: 'd'.repeat(64) }],
    units: [],
    failed: [{ unit: 'x', cause: 'it & that' }],
    figures: studyFigures([unit('none', outcomes(40, 0, 20, 5)), unit('a_b', outcomes(40, 38, 20, 5))], settings),
  };

  it('mark what differs from the first arm, with intervals everywhere', () => {
    const markdown = markdownTables(result);
    expect(markdown).toContain('| arm | harmlessness (string refusal) ↑ | over-refusal ↓ |');
    expect(markdown).toMatch(
      /\| none \| 0\.00 \[0\.00, 0\.09\] \| 0\.25 \[0\.\d\d, 0\.\d\d\] \| 10 \| 0\.03 \| none \|/,
    );
    expect(markdown).toMatch(/\| a_b \| 0\.95\* \[0\.\d\d, 1\.00\] \| 0\.25 \[/);
    expect(markdown).toContain('| none | a_b | +0.95 [');
    expect(markdown).toContain('missing: x (it & that)');
    expect(markdown).toContain('Judged by 29 phrases (llm-attacks): harmlessness (string refusal); over-refusal.');
  });

  it('escape what LaTeX and HTML read as theirs', () => {
    const latex = latexTable(result);
    expect(latex).toContain('a\\_b & 0.95* [');
    expect(latex).toContain('$\\uparrow$');
    expect(
      latex
        .split('\n')
        .filter((line) => line.includes('&') && !line.startsWith('%'))
        .every((line) => line.endsWith('\\\\')),
    ).toBe(true);
    const page = renderStudyPage(result);
    expect(page).not.toContain('<b>m</b>');
    expect(page).toContain('&lt;b&gt;m&lt;/b&gt;');
    expect(page).toContain('<svg');
    expect(page).toContain('it &amp; that');
  });
});
