/** What a policy must reach to be released: each criterion judged on the final evaluation, or on its change over an earlier one. */
import type { ReleaseCriterion } from '../configuration/release.ts';
import { changeOf } from '../evaluation/comparison.ts';
import { bootstrapInterval, wilsonInterval, type Interval } from '../evaluation/intervals.ts';
import { figureValues, type FigureValues, type MeasuredEvaluation } from './releaseFigures.ts';

export interface JudgedCriterion {
  figure: string;
  over: 'base' | 'warmStart' | null;
  /** `at most 0.20 (upper bound of the interval)` */
  asked: string;
  /** Null where nothing was measured: then it is not met. */
  value: number | null;
  interval: Interval | null;
  /** Requests that have the figure. */
  n: number;
  met: boolean;
}

export interface ReleaseVerdict {
  /** All of them; true where there are none. */
  met: boolean;
  criteria: JudgedCriterion[];
}

export interface JudgedEvaluations {
  before?: MeasuredEvaluation;
  warmStart?: MeasuredEvaluation;
  after: MeasuredEvaluation;
}

export interface BootstrapOptions {
  bootstrapSamples: number;
  seed: string;
}

/**
 * Shares have 95 % Wilson intervals, means and changes 95 % percentile bootstrap intervals, changes request by request: the same as those of the report.
 * A limit that is reached exactly is kept.
 */
export function judgeRelease(
  criteria: readonly ReleaseCriterion[],
  evaluations: JudgedEvaluations,
  options: BootstrapOptions,
): ReleaseVerdict {
  const judged = criteria.map((criterion) => judgeCriterion(criterion, evaluations, options));
  return { met: judged.every(({ met }) => met), criteria: judged };
}

function judgeCriterion(
  criterion: ReleaseCriterion,
  { before, warmStart, after }: JudgedEvaluations,
  options: BootstrapOptions,
): JudgedCriterion {
  const { figure, over, atMost, atLeast, by = 'point' } = criterion;
  const earlier = over === 'base' ? before : over === 'warmStart' ? warmStart : undefined;
  const final = figureValues(after, figure);
  const measured = over
    ? changed(earlier && figureValues(earlier, figure), final, seedOf(figure), options)
    : estimated(final, seedOf(figure), options);
  // What was computed in another order may miss a limit by rounding.
  const rounding = 1e-9;
  const high = by === 'interval' ? measured?.interval[1] : measured?.value;
  const low = by === 'interval' ? measured?.interval[0] : measured?.value;
  return {
    figure,
    over: over ?? null,
    asked: askedFor(criterion),
    value: measured?.value ?? null,
    interval: measured?.interval ?? null,
    n: measured?.n ?? 0,
    met:
      measured !== undefined &&
      (atMost === undefined || high! <= atMost + rounding) &&
      (atLeast === undefined || low! >= atLeast - rounding),
  };
}

interface Estimate {
  value: number;
  interval: Interval;
  n: number;
}

function estimated({ values, share }: FigureValues, seed: string, options: BootstrapOptions): Estimate | undefined {
  const all = [...values.values()];
  if (all.length === 0) return undefined;
  const sum = all.reduce((total, value) => total + value, 0);
  const interval = share
    ? wilsonInterval(sum, all.length)
    : bootstrapInterval([{ values: all, sign: 1 }], options.bootstrapSamples, `${options.seed}/bootstrap/${seed}`);
  return { value: sum / all.length, interval, n: all.length };
}

/** Over the requests that have the figure both times. */
function changed(
  before: FigureValues | undefined,
  after: FigureValues,
  seed: string,
  options: BootstrapOptions,
): Estimate | undefined {
  const pairs = [...(before?.values ?? [])].flatMap(([request, value]) => {
    const later = after.values.get(request);
    return later === undefined ? [] : [{ before: value, after: later }];
  });
  const change = changeOf([{ sign: 1, pairs }], options.bootstrapSamples, `${options.seed}/bootstrap/${seed}`);
  return change ? { value: change.value, interval: change.interval, n: pairs.length } : undefined;
}

/** The report's changes are of these seeds: one figure has one interval. */
function seedOf(figure: string): string {
  return figure === 'utility/loss' ? 'utility' : figure.replace(/^refusal\//, '');
}

function askedFor({ atMost, atLeast, by }: ReleaseCriterion): string {
  const bound = (end: string): string => (by === 'interval' ? ` (${end} end of the interval)` : '');
  return [
    ...(atLeast === undefined ? [] : [`at least ${atLeast}${bound('lower')}`]),
    ...(atMost === undefined ? [] : [`at most ${atMost}${bound('upper')}`]),
  ].join(', ');
}

/** `refusal/harmful`, `utility/loss, change over the warm start` */
export function criterionName({ figure, over }: Pick<JudgedCriterion, 'figure' | 'over'>): string {
  if (!over) return figure;
  return `${figure}, change over the ${over === 'base' ? 'base model' : 'warm start'}`;
}
