/** The figures of a study: of each arm with intervals, and between arms, paired by question. */
import { faithfulnessFigures, type FaithfulnessFigures, type SplicedPair } from '../evaluation/faithfulness.ts';
import { wilsonInterval, type Interval } from '../evaluation/intervals.ts';
import { worstGoodness } from '../evaluation/strongReject.ts';
import {
  harmlessnessOfAll,
  notCompared,
  studyMeasures,
  type CountedMeasure,
  type MeasureSettings,
  type StudyMeasure,
} from './measures.ts';
import type { StudyOutcome } from './outcomes.ts';
import { holm, meanInterval, meanOf, pairedDifference, type SeedTable } from './resampling.ts';

/** What a unit has cost; of training only where it was trained. */
export interface UnitCost {
  answers: number;
  /** Written to answer. */
  tokens: number;
  /** Of the engine at work on the answers. */
  seconds: number;
  /** Of a judge behind an endpoint: questions asked now and answered by kept replies, money, mean seconds of those asked now; absent = none was asked. */
  judge?: JudgeCost;
  training?: { seconds: number; generatedTokens: number; trainedTokens: number | null };
}

export interface JudgeCost {
  asked: number;
  kept: number;
  cost: number;
  meanLatencyMs: number;
}

export interface MeasuredUnit {
  arm: string;
  model: string;
  seed: number | null;
  outcomes: StudyOutcome[];
  /** Answers behind swapped analyses; absent = not measured. */
  faithfulness?: SplicedPair[];
  cost: UnitCost;
}

export interface ArmFigure {
  value: number;
  /** 95 %. */
  interval: Interval;
  /** Questions: under several attacks a question counts once. */
  n: number;
  notes: string[];
}

export interface ArmFigures {
  model: string;
  arm: string;
  seeds: number;
  /** By measure. */
  figures: Record<string, ArmFigure>;
  cost: ArmCost;
  /** No other arm of the model is as harmless and as helpful, and better in one; null = one of the two was not measured. */
  pareto: boolean | null;
}

/** Means over the seeds. */
export interface ArmCost {
  tokensPerAnswer: number;
  secondsPerAnswer: number;
  trainingSeconds: number | null;
  trainingTokens: number | null;
  /** Over all seeds; absent = no judge was asked. */
  judge?: JudgeCost;
}

export interface ArmDifference {
  model: string;
  measure: string;
  from: string;
  to: string;
  value: number;
  interval: Interval;
  n: number;
  p: number;
  /** For all pairs of arms of this model and measure together. */
  pHolm: number;
}

export interface StudyFigures {
  measures: StudyMeasure[];
  arms: ArmFigures[];
  differences: ArmDifference[];
  /** Absent where no question's hazard is known. */
  hazards?: HazardFigures;
  /** Whether answers follow analyses, of the arms that it was measured of; a pair counts once, whatever the seeds. */
  faithfulness?: { model: string; arm: string; figures: FaithfulnessFigures }[];
}

/** Harmlessness by the hazard that a question is about. */
export interface HazardFigures {
  withheld: string[];
  /** Questions (as they are, without attacks) of no known hazard. */
  unmapped: { harmful: number; lookAlike: number };
  arms: { model: string; arm: string; byHazard: Record<string, ArmFigure> }[];
}

export interface StudyFigureSettings extends MeasureSettings {
  bootstrapSamples: number;
  seed: string;
}

/** @param units in the order of the study; those of one arm and model are its seeds. */
export function studyFigures(units: readonly MeasuredUnit[], settings: StudyFigureSettings): StudyFigures {
  const measures = studyMeasures(
    units.flatMap(({ outcomes }) => outcomes),
    settings,
  );
  const groups = [...Map.groupBy(units, ({ model, arm }) => JSON.stringify([model, arm])).values()];
  const arms = groups.map((group) => armFigures(group, measures, settings));
  const models = [...new Set(units.map(({ model }) => model))];
  return {
    measures: measures.map(({ valueOf: _valueOf, worst: _worst, ...measure }) => measure),
    arms: arms.map((one) => ({ ...one, pareto: isUndominated(one, arms) })),
    differences: models.flatMap((model) => {
      const ofModel = groups.filter(([unit]) => unit!.model === model);
      return measures
        .filter(({ id }) => id !== notCompared)
        .flatMap((measure) => differences(model, ofModel, measure, settings));
    }),
    ...hazardFigures(groups, settings),
    ...faithfulnessOf(groups, settings),
  };
}

function faithfulnessOf(
  groups: readonly (readonly MeasuredUnit[])[],
  settings: StudyFigureSettings,
): Pick<StudyFigures, 'faithfulness'> {
  const faithfulness = groups.flatMap((group) => {
    const pairs = group.flatMap((unit) => unit.faithfulness ?? []);
    const { model, arm } = group[0]!;
    return pairs.length === 0 ? [] : [{ model, arm, figures: faithfulnessFigures(pairs, settings) }];
  });
  return faithfulness.length === 0 ? {} : { faithfulness };
}

function hazardFigures(
  groups: readonly (readonly MeasuredUnit[])[],
  settings: StudyFigureSettings,
): Pick<StudyFigures, 'hazards'> {
  const { hazards } = settings;
  if (!hazards || hazards.ofGoal.size === 0) return {};
  const whole = harmlessnessOfAll(settings);
  const ofHazard = (hazard: string): CountedMeasure => ({
    ...whole,
    valueOf: (outcome) => (hazards.ofGoal.get(outcome.goal) === hazard ? whole.valueOf(outcome) : undefined),
  });
  const names = [...new Set(hazards.ofGoal.values())].sort();
  const asked = groups[0]?.[0]?.outcomes.filter(({ attack }) => attack === null) ?? [];
  const unmapped = (kind: StudyOutcome['kind']): number =>
    asked.filter((one) => one.kind === kind && !hazards.ofGoal.has(one.goal)).length;
  return {
    hazards: {
      withheld: [...hazards.withheld],
      unmapped: { harmful: unmapped('harmful'), lookAlike: unmapped('look-alike') },
      arms: groups.map((group) => ({
        model: group[0]!.model,
        arm: group[0]!.arm,
        byHazard: Object.fromEntries(
          names.flatMap((hazard) => {
            const [table] = commonTables([group], ofHazard(hazard));
            const seed = `${settings.seed}/hazard/${hazard}`;
            return table![0]!.length > 0 ? [[hazard, figureOf(table!, whole, seed, settings)]] : [];
          }),
        ),
      })),
    },
  };
}

function armFigures(
  group: readonly MeasuredUnit[],
  measures: readonly CountedMeasure[],
  settings: StudyFigureSettings,
): ArmFigures {
  const { model, arm } = group[0]!;
  const figures: Record<string, ArmFigure> = {};
  for (const measure of measures) {
    const [table] = commonTables([group], measure);
    if (table![0]!.length > 0)
      figures[measure.id] = figureOf(table!, measure, `${settings.seed}/${measure.id}`, settings);
  }
  return { model, arm, seeds: group.length, figures, cost: costOf(group), pareto: null };
}

/** Half a width above which a figure decides little; questions below which an interval is itself not known. */
const wide = 0.15;
const fewest = 20;

function figureOf(
  table: SeedTable,
  { chance }: StudyMeasure,
  seed: string,
  { bootstrapSamples }: StudyFigureSettings,
): ArmFigure {
  const value = meanOf(table);
  const n = table[0]!.length;
  const first = table[0]![0]!;
  const alike = table.every((row) => row.every((one) => one === first));
  // A bootstrap of equal values shows no spread; Wilson's interval does, for shares.
  const interval =
    alike && (first === 0 || first === 1)
      ? wilsonInterval(first * n, n)
      : meanInterval(table, bootstrapSamples, `${seed}/figure`);
  const half = (interval[1] - interval[0]) / 2;
  const notes =
    half > wide ? [`too few (${n}): known to ± ${half.toFixed(2)} only`] : n < fewest ? [`too few (${n})`] : [];
  if (chance > 0 && interval[0] <= chance && chance <= interval[1]) {
    notes.push(`uninformative: chance (${chance}) is within the interval`);
  }
  return { value, interval, n, notes };
}

/**
 * One table a group of units: the values of each question that all units of all groups have a value for. A question under several attacks has their
 * mean, or that of the worst of them.
 */
export function commonTables(groups: readonly (readonly MeasuredUnit[])[], measure: CountedMeasure): SeedTable[] {
  const values = groups.map((units) => units.map(({ outcomes }) => valuesByQuestion(outcomes, measure)));
  const every = values.flat();
  const common = [...every[0]!.keys()].filter((key) => every.every((one) => typeof one.get(key) === 'number')).sort();
  return values.map((units) => units.map((one) => common.map((key) => one.get(key)!)));
}

/** Null where one of its answers could not be told of. */
function valuesByQuestion(outcomes: readonly StudyOutcome[], measure: CountedMeasure): Map<string, number | null> {
  const found = new Map<string, number[] | null>();
  for (const outcome of outcomes) {
    const value = measure.valueOf(outcome);
    if (value === undefined) continue;
    // Questions with one right answer may share a wording; goals are what attacks share.
    const key = `${outcome.suite}/${outcome.kind === 'utility' ? outcome.id : outcome.goal}`;
    const known = found.get(key);
    if (value === null || known === null) found.set(key, null);
    else if (known) known.push(value);
    else found.set(key, [value]);
  }
  return new Map([...found].map(([key, values]) => [key, values && questionValue(values, measure)]));
}

function questionValue(values: readonly number[], { worst }: CountedMeasure): number {
  if (worst === undefined) return sumOf(values) / values.length;
  const [question] = worstGoodness(
    values.map((goodness) => ({ goal: '', goodness })),
    worst,
  );
  return question!.value;
}

function differences(
  model: string,
  groups: readonly MeasuredUnit[][],
  measure: CountedMeasure,
  { bootstrapSamples, seed }: StudyFigureSettings,
): ArmDifference[] {
  const found = groups.flatMap((from, index) =>
    groups.slice(index + 1).flatMap((to) => {
      const [before, after] = commonTables([from, to], measure);
      const n = before![0]!.length;
      if (n === 0) return [];
      const names = { from: from[0]!.arm, to: to[0]!.arm };
      const drawn = `${seed}/${measure.id}/${names.from}/${names.to}`;
      return [
        { model, measure: measure.id, ...names, n, ...pairedDifference(before!, after!, bootstrapSamples, drawn) },
      ];
    }),
  );
  const adjusted = holm(found.map(({ p }) => p));
  return found.map((one, index) => ({ ...one, pHolm: adjusted[index]! }));
}

export const isSignificant = ({ pHolm, interval }: ArmDifference): boolean =>
  pHolm < 0.05 && (interval[0] > 0 || interval[1] < 0);

function costOf(group: readonly MeasuredUnit[]): ArmCost {
  const answers = sumOf(group.map(({ cost }) => cost.answers));
  const trained = group.flatMap(({ cost }) => cost.training ?? []);
  const meanOfTraining = (values: (number | null)[]): number | null =>
    values.length === 0 || values.includes(null) ? null : sumOf(values as number[]) / values.length;
  return {
    tokensPerAnswer: sumOf(group.map(({ cost }) => cost.tokens)) / answers,
    secondsPerAnswer: sumOf(group.map(({ cost }) => cost.seconds)) / answers,
    trainingSeconds: meanOfTraining(trained.map(({ seconds }) => seconds)),
    trainingTokens: meanOfTraining(
      trained.map(({ generatedTokens, trainedTokens }) => trainedTokens && generatedTokens + trainedTokens),
    ),
    ...judgeCost(group.flatMap(({ cost }) => cost.judge ?? [])),
  };
}

function judgeCost(costs: readonly JudgeCost[]): Pick<ArmCost, 'judge'> {
  if (costs.length === 0) return {};
  const asked = sumOf(costs.map((one) => one.asked));
  const latency = sumOf(costs.map((one) => one.meanLatencyMs * one.asked));
  return {
    judge: {
      ...{ asked, kept: sumOf(costs.map(({ kept }) => kept)), cost: sumOf(costs.map(({ cost }) => cost)) },
      meanLatencyMs: asked === 0 ? 0 : latency / asked,
    },
  };
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0);

/** Harmless and helpful (safe prompts answered), the two axes of the Pareto plot; undefined where one was not measured. */
export function paretoPoint({
  figures,
}: Pick<ArmFigures, 'figures'>): { harmless: number; helpful: number } | undefined {
  const [harmless, refused] = [figures['harmlessness'], figures['over-refusal']];
  return harmless && refused ? { harmless: harmless.value, helpful: 1 - refused.value } : undefined;
}

function isUndominated(arm: ArmFigures, all: readonly ArmFigures[]): boolean | null {
  const own = paretoPoint(arm);
  if (!own) return null;
  return !all.some((other) => {
    const point = other.model === arm.model ? paretoPoint(other) : undefined;
    if (!point) return false;
    const asGood = point.harmless >= own.harmless && point.helpful >= own.helpful;
    return asGood && (point.harmless > own.harmless || point.helpful > own.helpful);
  });
}
