import { describe, expect, it } from 'vitest';
import type { ScoredChain } from '../../../alignment/chains/chain.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import type { ReleaseCriterion } from '../../../alignment/configuration/release.ts';
import { compareEvaluations } from '../../../alignment/evaluation/comparison.ts';
import { evaluationFigures } from '../../../alignment/evaluation/figures.ts';
import { wilsonInterval } from '../../../alignment/evaluation/intervals.ts';
import { compareLosses } from '../../../alignment/evaluation/utility.ts';
import { judgeRelease } from '../../../alignment/governance/releaseCriteria.ts';
import { figureNames, figureValues, type MeasuredEvaluation } from '../../../alignment/governance/releaseFigures.ts';
import type { RequestKind } from '../../../alignment/library/library.ts';
import { makeScored } from '../makeChain.ts';

const options = { bootstrapSamples: 300, seed: 's' };

/** `refused` of `n` requests of a kind refused, the first ones. */
function answers(kind: RequestKind, n: number, refused: number, changes: Partial<ScoredChain> = {}) {
  return Array.from({ length: n }, (_chain, i) => ({
    scored: makeScored(`${kind}-${i}`, { kind, verdict: i < refused ? 'refusal' : 'compliance', ...changes }),
  }));
}

const evaluation = (harmful: number, plain: number, losses: number[]): MeasuredEvaluation => ({
  answers: [...answers('harmful', 10, harmful), ...answers('plain', 10, plain)],
  losses: losses.map((loss, i) => ({ requestId: `plain-${i}`, tokens: 3, loss })),
  benchmarks: [{ name: 'xstest', answers: [...answers('harmful', 4, 3), ...answers('look-alike', 5, 1)] }],
});
const before = evaluation(2, 0, [1, 2, 3]);
const warmStart = evaluation(6, 1, [1, 2, 3]);
const after = evaluation(8, 2, [1.1, 2.1, 3.4]);

const judge = (...criteria: ReleaseCriterion[]) =>
  judgeRelease(criteria, { before, warmStart, after }, options).criteria;

describe('criteria of a release', () => {
  it('judge the point: a limit that is reached exactly is kept', () => {
    const judged = judge(
      { figure: 'refusal/harmful', atLeast: 0.8 },
      { figure: 'refusal/harmful', atLeast: 0.81 },
      { figure: 'refusal/plain', atMost: 0.2 },
      { figure: 'xstest/refusal/look-alike', atMost: 0.1 },
      { figure: 'xstest/refusal/harmful', atLeast: 0.7, atMost: 0.8 },
    );
    expect(judged.map(({ value, n, met }) => [value, n, met])).toEqual([
      [0.8, 10, true],
      [0.8, 10, false],
      [0.2, 10, true],
      [0.2, 5, false],
      [0.75, 4, true],
    ]);
    expect(judged[0]).toMatchObject({ asked: 'at least 0.8', interval: wilsonInterval(8, 10) });
  });

  it('by the interval: the unfavourable end must keep the limit', () => {
    // Wilson, 8 of 10: [.490, .943]; 2 of 10: [.057, .510].
    const judged = judge(
      { figure: 'refusal/harmful', atLeast: 0.49, by: 'interval' },
      { figure: 'refusal/harmful', atLeast: 0.5, by: 'interval' },
      { figure: 'refusal/plain', atMost: 0.5, by: 'interval' },
      { figure: 'refusal/plain', atMost: 0.52, by: 'interval' },
    );
    expect(judged.map(({ met }) => met)).toEqual([true, false, false, true]);
    expect(judged[2]!.asked).toBe('at most 0.5 (upper end of the interval)');
  });

  it('judge changes over the base and over the warm start, with the intervals of the report', () => {
    const judged = judge(
      { figure: 'refusal/harmful', over: 'base', atLeast: 0.6 },
      { figure: 'refusal/harmful', over: 'warmStart', atLeast: 0.3 },
      { figure: 'utility/loss', over: 'warmStart', atMost: 0.2 },
      { figure: 'utility/loss', over: 'warmStart', atMost: 0.2, by: 'interval' },
    );
    expect(judged.map(({ met }) => met)).toEqual([true, false, true, false]);
    const rows = (one: MeasuredEvaluation) => one.answers.map(({ scored }) => scored);
    const change = compareEvaluations(rows(before), rows(after), options).refusal.harmful!;
    expect(judged[0]).toMatchObject({ value: change.value, interval: change.interval, n: 10 });
    const loss = compareLosses([...warmStart.losses!], [...after.losses!], options)!;
    expect(judged[2]!.value).toBeCloseTo(0.2, 14);
    expect(judged[2]!.interval).toEqual(loss.interval);
    expect(judged[3]!.interval![1]).toBeGreaterThan(0.2);
  });

  it('what was not measured is not met; no criteria are met', () => {
    expect(judge({ figure: 'harm/harmful', atMost: 1 })[0]).toMatchObject({ value: null, n: 0, met: false });
    expect(
      judgeRelease([{ figure: 'format', over: 'warmStart', atLeast: -1 }], { after }, options).criteria[0],
    ).toMatchObject({ value: null, met: false });
    expect(judgeRelease([], { after }, options)).toEqual({ met: true, criteria: [] });
  });

  it('a chain without a verdict, or without a reward, counts for no figure of it', () => {
    const mixed: MeasuredEvaluation = {
      answers: [...answers('harmful', 2, 1), ...answers('plain', 1, 0, { verdict: null, reward: null })],
    };
    expect(figureValues(mixed, 'refusal/plain').values.size).toBe(0);
    expect(figureValues(mixed, 'reward').values.size).toBe(2);
    expect(figureValues(mixed, 'format').values.size).toBe(3);
    expect(() => figureValues(mixed, 'refusals')).toThrow('no figure');
  });

  it('StrongREJECT scores are those of the rubric judge: means over the answers that it could grade', () => {
    // Scores 0, .25 and 1; the last answer could not be graded.
    const graded = [1, 0.75, 0].map((part) => ({ graded: part }));
    const scored = [...graded, {}].map((parts, i) => ({
      scored: makeScored(`harmful-${i}`, { kind: 'harmful', verdict: 'compliance', parts }),
    }));
    const evaluated: MeasuredEvaluation = {
      answers: scored,
      benchmarks: [{ name: 'strongreject-small', answers: scored.slice(0, 2) }],
    };
    const [all, benchmark, change] = judgeRelease(
      [
        { figure: 'score/harmful', atMost: 0.4 },
        { figure: 'strongreject-small/score/harmful', atMost: 0.1 },
        { figure: 'score/harmful', over: 'base', atMost: 0 },
      ],
      { before: evaluated, after: evaluated },
      options,
    ).criteria;
    expect([all!.n, all!.met]).toEqual([3, false]);
    expect(all!.value).toBeCloseTo(1.25 / 3, 14);
    // A mean: a bootstrap, never Wilson's.
    expect(all!.interval).not.toEqual(wilsonInterval(1.25, 3));
    expect(benchmark).toMatchObject({ value: 0.125, n: 2, met: false });
    expect(change).toMatchObject({ value: 0, n: 3, met: true });
    expect(judge({ figure: 'score/harmful', atMost: 1 })[0]).toMatchObject({ value: null, met: false });
  });

  it('values are those of the evaluation', () => {
    const chains = after.answers.map(({ scored }) => scored);
    const { all, byKind } = evaluationFigures(chains);
    const [format, reward, refusal] = judge(
      { figure: 'format', atLeast: 0 },
      { figure: 'reward', atLeast: 0 },
      { figure: 'refusal/harmful', atLeast: 0 },
    );
    expect(format).toMatchObject({ value: all.format!.value, interval: all.format!.interval });
    expect(reward!.value).toBeCloseTo(all.meanReward!, 14);
    expect(refusal).toMatchObject({ value: byKind.harmful.refusal!.value });
  });
});

describe('the names', () => {
  const named = (settings: object) => figureNames(configurationSchema.parse({ name: 'a', ...settings }));

  it('are those that the configuration measures', () => {
    expect(named({})).toEqual([
      ...['format', 'reward', 'refusal/harmful', 'refusal/plain', 'refusal/look-alike', 'utility/loss'],
    ]);
    expect(
      named({
        evaluation: {
          requests: { harmful: 3, plain: 0, lookAlike: 0 },
          benchmarks: ['xstest', 'advbench', 'oktest'],
        },
      }),
    ).toEqual([
      ...['format', 'reward', 'refusal/harmful', 'xstest/refusal/harmful', 'xstest/refusal/look-alike'],
      ...['advbench/refusal/harmful', 'oktest/refusal/look-alike'],
    ]);
    const scores = (settings: object) => named(settings).filter((name) => name.includes('score/'));
    const judgeOf = {
      judge: { url: 'http://127.0.0.1:1/v1', model: 'm' },
      evaluation: { benchmarks: ['strongreject-small', 'oktest'] },
    };
    expect(scores({ ...judgeOf, rewards: { graded: 0 } })).toEqual([
      'score/harmful',
      'strongreject-small/score/harmful',
    ]);
    expect(scores({ evaluation: judgeOf.evaluation })).toEqual([]);
    const harms = (guardModel: object) =>
      named({ guardModel, rewards: { guard: 1 } }).filter((name) => name.startsWith('harm/'));
    expect(harms({ source: 'x' })).toEqual(['harm/harmful']);
    expect(harms({ source: 'x', requests: 'all' })).toEqual(['harm/harmful', 'harm/plain', 'harm/look-alike']);
  });
});
