/** What has become of a study's hypotheses: each comparison with the interval of the pairwise tables, a verdict, and why. */
import type { Interval } from '../evaluation/intervals.ts';
import { partsOf, type Hypothesis, type HypothesisPart } from './hypothesisSchema.ts';
import { studyMeasures, type CountedMeasure } from './measures.ts';
import { bootstrapP, holm, pairedDifference, questionDifferences, rounding } from './resampling.ts';
import { commonTables, type MeasuredUnit, type StudyFigureSettings } from './studyFigures.ts';
import { reasonOf } from './verdictReasons.ts';
import { boundOf, turned, verdictOf, type Measured, type Verdict } from './verdicts.ts';

export interface TestedPart extends HypothesisPart {
  /** Figure of `arm` less that of `against`, over the questions that both were measured on. Null: not measured. */
  effect: number | null;
  /** 95 %, as in the table of differences. */
  interval: Interval | null;
  /** Questions. */
  n: number;
  /** Two-sided: of no difference; of `no-worse`, of a loss of the margin. */
  p: number | null;
  /** For all comparisons of the study's hypotheses together. */
  pHolm: number | null;
  verdict: Verdict;
  reason: string;
}

export interface TestedHypothesis {
  claim: string;
  model: string;
  verdict: Verdict;
  parts: TestedPart[];
}

export interface HypothesisSettings extends StudyFigureSettings {
  models: readonly string[];
  /** Arms of a model some of whose units are not done, or failed: what is left of them decides nothing. */
  incomplete: readonly { model: string; arm: string }[];
}

/**
 * Each hypothesis for each model. A comparison is supported or contradicted only where its interval and p after Holm's adjustment over all of these
 * comparisons agree (`verdictOf`); several together are supported if each is, and contradicted if any is.
 */
export function testHypotheses(
  hypotheses: readonly Hypothesis[],
  units: readonly MeasuredUnit[],
  settings: HypothesisSettings,
): TestedHypothesis[] {
  const measures = studyMeasures(
    units.flatMap(({ outcomes }) => outcomes),
    settings,
  );
  const compared = settings.models.flatMap((model) =>
    hypotheses.map((hypothesis) => ({
      ...{ model, claim: hypothesis.claim },
      parts: partsOf(hypothesis).map((part) => ({ part, found: measured(part, model, units, measures, settings) })),
    })),
  );
  // What could not be measured was planned all the same, and counts.
  const values = compared.flatMap(({ parts }) => parts.map(({ found }) => (typeof found === 'string' ? 1 : found.p)));
  const adjusted = holm(values)[Symbol.iterator]();
  return compared.map(({ model, claim, parts }) => {
    const tested = parts.map(({ part, found }) => testedPart(part, found, adjusted.next().value!));
    return { claim, model, verdict: together(tested), parts: tested };
  });
}

/** Supported if each is, contradicted if any is. */
function together(parts: readonly TestedPart[]): Verdict {
  if (parts.some(({ verdict }) => verdict === 'contradicted')) return 'contradicted';
  return parts.every(({ verdict }) => verdict === 'supported') ? 'supported' : 'undecided';
}

function testedPart(part: HypothesisPart, found: Measured | string, pHolm: number): TestedPart {
  if (typeof found === 'string') {
    const nothing = { effect: null, interval: null, n: 0, p: null, pHolm: null };
    return { ...part, ...nothing, verdict: 'undecided', reason: found };
  }
  const verdict = verdictOf(part, found, pHolm);
  const { effect, interval, n, p } = found;
  return { ...part, effect, interval, n, p, pHolm, verdict, reason: reasonOf(part, found, pHolm, verdict) };
}

/** Or why it could not be. */
function measured(
  part: HypothesisPart,
  model: string,
  units: readonly MeasuredUnit[],
  measures: readonly CountedMeasure[],
  settings: HypothesisSettings,
): Measured | string {
  const { figure, arm, against } = part;
  const failed = settings.incomplete.find((one) => one.model === model && [arm, against].includes(one.arm));
  if (failed) return `units of ${failed.arm} are not done; the same command goes on with them`;
  const measure = measures.find(({ id }) => id === figure);
  const own = units.filter((unit) => unit.model === model && [arm, against].includes(unit.arm));
  const groups = [...Map.groupBy(own, (unit) => unit.arm).values()];
  if (!measure || groups.length < 2) return `${figure} was not measured on both arms`;
  // In the order of the table of differences, so that the draws are the same.
  const [before, after] = commonTables(groups, measure);
  const n = before![0]!.length;
  if (n === 0) return `no question was measured on both arms`;
  const [from, to] = groups.map(([unit]) => unit!.arm);
  const drawn = `${settings.seed}/${figure}/${from}/${to}`;
  const { bootstrapSamples } = settings;
  const difference = pairedDifference(before!, after!, bootstrapSamples, drawn);
  const turn = from === against ? 1 : -1;
  const effect = turn === 1 ? difference.value : 0 - difference.value;
  const sense = senseOf(part, measure, effect);
  const differences = questionDifferences(before!, after!).map((one) => turn * one);
  const found = { effect, interval: turned(difference.interval, turn), n, differences, sense, p: difference.p };
  if (part.direction !== 'no-worse') return found;
  const bound = turn * sense * boundOf(part);
  const p = bootstrapP(before!, after!, bound, bootstrapSamples, drawn);
  return noWorse(found, p, part.margin!);
}

function senseOf({ direction }: HypothesisPart, { better }: CountedMeasure, effect: number): 1 | -1 {
  if (direction === 'changes') return effect < 0 ? -1 : 1;
  return (direction === 'no-worse' ? better : direction) === 'higher' ? 1 : -1;
}

/** Fewer questions than these that differ are too few for a bootstrap to tell how many would in others. */
const fewDifferences = 10;

/**
 * Of a loss of the margin: the bootstrap's p; and where fewer than ten questions differ also, for a smaller loss, the exact chance (doubled) of so few that
 * got worse if a share of the margin did, or, for a larger one, that of no difference at all.
 */
function noWorse(found: Measured, bootstrap: number, margin: number): Measured {
  const { effect, n, differences, sense, p } = found;
  const changed = differences.filter((one) => Math.abs(one) > rounding);
  if (changed.length >= fewDifferences) return { ...found, p: bootstrap };
  const worse = changed.filter((one) => sense * one < 0).length;
  const exact = sense * effect > -margin ? Math.min(1, 2 * atMost(worse, n, margin)) : p;
  return { ...found, p: Math.max(bootstrap, exact) };
}

/** P(X <= count) of a binomial. */
function atMost(count: number, n: number, share: number): number {
  let term = (1 - share) ** n;
  let sum = term;
  for (let k = 1; k <= count; k++) sum += term *= ((n - k + 1) / k) * (share / (1 - share));
  return sum;
}
