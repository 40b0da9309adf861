import { describe, expect, it, test } from 'vitest';
import type { SuiteQuestion } from '../../../alignment/benchmarks/suites.ts';
import { goalDigest } from '../../../alignment/study/outcomes.ts';
import { comparedFigures } from '../../../alignment/study/plannedFigures.ts';
import { studySchema } from '../../../alignment/study/studySchema.ts';

const study = (hypotheses: unknown, more: object = {}) => ({
  ...{ name: 's', suites: ['xstest'] },
  arms: [
    { name: 'none', inference: 'none' },
    { name: 'cases', inference: 'cases:2' },
  ],
  ...more,
  hypotheses,
});
const good = { claim: 'c', figure: 'harmlessness', arm: 'cases', against: 'none', direction: 'higher' };
const { claim: _claim, ...part } = good;

describe('hypotheses of a study file', () => {
  it('may be simple or of parts', () => {
    expect(studySchema.safeParse(study([good, { claim: 'd', all: [part, part] }])).success).toBe(true);
  });

  test.each([
    ['an unknown arm', [{ ...good, arm: 'cada' }], 'hypotheses.0.arm', 'no arm is named "cada"; there are none, cases'],
    [
      'an unknown arm in a part',
      [{ claim: 'c', all: [part, { ...part, against: 'x' }] }],
      'hypotheses.0.all.1.against',
    ],
    ['an arm against itself', [{ ...good, arm: 'none' }], 'hypotheses.0.against', 'with itself'],
    ['an unknown direction', [{ ...good, direction: 'up' }], 'hypotheses.0.direction'],
    ['no direction', [{ ...part, claim: 'c', direction: undefined }], 'hypotheses.0', 'needs direction'],
    ['parts beside a comparison', [{ ...good, all: [part] }], 'hypotheses.0', 'has `all` and figure, arm'],
    ['no-worse without a margin', [{ ...good, direction: 'no-worse' }], 'hypotheses.0', 'needs a `margin`'],
    ['a margin of nothing', [{ ...good, margin: 0 }], 'hypotheses.0.margin'],
    ['a margin of everything', [{ ...good, margin: 1 }], 'hypotheses.0.margin'],
    ['no claim', [part], 'hypotheses.0.claim'],
    ['a claim of two lines', [{ ...good, claim: 'a\nb' }], 'hypotheses.0.claim', 'one line of text'],
    ['a claim with a terminal escape', [{ ...good, claim: '\u001b[2J' }], 'hypotheses.0.claim', 'one line of text'],
    ['none at all', [], 'hypotheses'],
    ['an unknown setting', [{ ...good, sense: 'up' }], 'hypotheses.0'],
  ])('%s is told at its place', (_name, hypotheses, path, said = '') => {
    const { error } = studySchema.safeParse(study(hypotheses));
    const issue = error!.issues.find((one) => one.path.join('.') === path);
    expect(error!.issues.map((one) => one.path.join('.'))).toContain(path);
    expect(issue!.message).toContain(said);
  });

  it('more comparisons than the draws can decide are told', () => {
    // The smallest p of 100 draws is 2/101: three of them come to .059.
    const three = study([good, { claim: 'd', all: [part, part] }], { bootstrapSamples: 100 });
    expect(studySchema.safeParse(three).error!.issues[0]).toMatchObject({
      path: ['bootstrapSamples'],
      message: expect.stringContaining('at least 120 draws') as string,
    });
    expect(studySchema.safeParse({ ...three, bootstrapSamples: 120 }).success).toBe(true);
    const two = { ...three, bootstrapSamples: 120, models: ['a/b', 'c/d'] };
    expect(studySchema.safeParse(two).success).toBe(false);
  });
});

describe('the figures that a study will have', () => {
  const question = (part: Partial<SuiteQuestion>): SuiteQuestion => ({
    ...{ id: 'q', suite: 'xstest', category: 'c', kind: 'harmful', prompt: 'p', goal: 'p' },
    ...part,
  });
  const questions = [
    question({}),
    question({ kind: 'look-alike' }),
    question({ suite: 'mmlu', kind: 'utility' }),
    question({ suite: 'strongreject' }),
  ];

  it('are those of a guard model and of withheld hazards too, where the study has them', () => {
    const asked = [question({ goal: 'a', category: 'Privacy' }), question({ goal: 'b', category: 'hate' })];
    const safe = { attacks: [], refusalBy: 'phrases' as const };
    const hazards = {
      ofGoal: new Map([
        [goalDigest('a'), 'privacy'],
        [goalDigest('b'), 'hate'],
      ]),
      withheld: ['privacy'],
    };
    expect(comparedFigures({ ...safe, guard: { source: 'g' } }, asked, hazards)).toEqual([
      ...['harmlessness', 'harmlessness/seen', 'harmlessness/unseen', 'unsafe'],
    ]);
    expect(comparedFigures(safe, asked)).toEqual(['harmlessness']);
    // None is of a hazard that is left, so nothing is seen.
    const unseen = { ...hazards, ofGoal: new Map([[goalDigest('a'), 'privacy']]) };
    expect(comparedFigures(safe, asked, unseen)).toEqual(['harmlessness', 'harmlessness/unseen']);
  });

  it('are known from its questions, searched attacks and judge', () => {
    const safe = { attacks: [], refusalBy: 'phrases' } as const;
    expect(comparedFigures({ ...safe, attacks: [] }, questions)).toEqual([
      ...['harmlessness', 'harmlessness/xstest', 'harmlessness/strongreject'],
      ...['over-refusal', 'over-refusal/xstest', 'utility/mmlu', 'utility/mmlu/refused', 'utility/mmlu/unreadable'],
    ]);
    const attacked = comparedFigures({ ...safe, attacks: ['pair', 'pap'], leaks: true }, questions);
    expect(attacked).toEqual(
      expect.arrayContaining([
        'robustness',
        'robustness/worst',
        'robustness/pair',
        'robustness/pap-misrepresentation',
        'leak',
      ]),
    );
    const attackSettings = { pap: { techniques: ['misrepresentation' as const] } };
    const one = comparedFigures({ ...safe, attacks: ['pap'], attackSettings }, questions);
    expect(one.filter((id) => id.startsWith('robustness'))).toEqual(['robustness/pap-misrepresentation']);
    expect(comparedFigures({ ...safe, attacks: ['pair'] }, questions)).toContain('robustness/pair');
    expect(comparedFigures({ ...safe, attacks: ['pair'] }, questions)).not.toContain('robustness');
    expect(comparedFigures({ ...safe, attacks: ['pair'] }, [questions[1]!])).toEqual(['over-refusal']);
  });
});
