/**
 * The report of a run: one self-contained HTML file. What a model wrote is untrusted: the template engine escapes every value; only our own charts go in
 * as they are, and a content security policy keeps the page from loading anything, and from running anything but the script by which chains are marked.
 */
import { Eta } from 'eta';
import { stringify } from 'yaml';
import type { Change, Comparison } from '../evaluation/comparison.ts';
import { exposures } from '../evaluation/exposure.ts';
import { chainName, evaluationSets, type EvaluationSet } from '../feedback/chainName.ts';
import { pairedPowerNote } from '../evaluation/pairedPower.ts';
import { wilsonInterval } from '../evaluation/intervals.ts';
import { requestKinds, type RequestKind } from '../library/library.ts';
import { measuredRates } from '../plan/measuredRates.ts';
import { lineChart, type ChartSpec, type Curve } from './charts.ts';
import { sourceLines } from './chainSources.ts';
import { benchmarkRows, evaluationRows, exposureRows } from './evaluationRows.ts';
import { faithfulnessTable } from './faithfulnessTable.ts';
import * as format from './format.ts';
import { criterionCells } from './releaseCard.ts';
import { reportStyle } from './reportStyle.ts';
import { markScript, markScriptSource } from './markScript.ts';
import {
  changesTemplate,
  comparisonTemplate,
  evaluationsTemplate,
  markTemplate,
  reportTemplate,
} from './reportTemplate.ts';
import type {
  ReportData,
  ReportedAnswer,
  ReportedChain,
  ReportedDecision,
  ReportedEvaluation,
  ReportedExposure,
  ReportedIteration,
} from './reportData.ts';

const eta = new Eta({ autoEscape: true, useWith: false, varName: 'it' });
eta.loadTemplate('@evaluations', evaluationsTemplate);
eta.loadTemplate('@changes', changesTemplate);
eta.loadTemplate('@mark', markTemplate);
eta.loadTemplate('@comparison', comparisonTemplate);
const samplesPerKind = 4;
const trainingSamplesPerKind = 2;

export function renderReport(data: ReportData): string {
  return eta.renderString(reportTemplate, {
    ...data,
    format,
    style: reportStyle,
    script: markScript,
    scriptSource: markScriptSource,
    kinds: requestKinds,
    charts: charts(data)
      .map(lineChart)
      .filter((svg) => svg !== ''),
    evaluationRows: evaluationRows(data.evaluations),
    benchmarkRows: benchmarkRows(data.evaluations),
    judges: judgesOf(data),
    powerNotes: changePowerNotes(data),
    exposureRows: exposureRows(data.evaluations),
    faithfulness: faithfulnessTable(data.evaluations),
    changeRows: {
      requests: changeRows(data, requestMeasures),
      benchmarks: data.benchmarks ? changeRows(data.benchmarks, benchmarkMeasures) : [],
      exposure: data.exposure ? exposureChangeRows(data.exposure) : [],
    },
    releaseRows: (data.release?.verdict.criteria ?? []).map(criterionCells),
    samples: samples(data.evaluations),
    trainingSet: data.training?.set ?? '',
    trainingSamples: trainingSamples(data.training?.chains ?? []),
    warmStart: data.iterations.find((iteration) => iteration.iteration === 0),
    sourceLines: sourceLines(data.iterations.find((iteration) => iteration.iteration === 0)?.figures ?? {}),
    rounds: data.iterations.filter((iteration) => iteration.iteration > 0),
    validatorRows: validatorRows(data.validator ?? []),
    validatorJudges: [...new Set((data.validator ?? []).map(({ judge }) => judge))].join(', '),
    measuredOn: measuredRates.machine,
    timeRows: timeRows(data),
    useRows: useRows(data),
    configurationText: stringify(data.configuration),
    totalSeconds: Object.values(data.wallSeconds).reduce((sum, seconds) => sum + seconds, 0),
  });
}

/** Who or what tells each figure. */
function judgesOf({ configuration, librarySha256 }: ReportData): string {
  const { judge, guardModel, rewards } = configuration;
  return [
    `refusals, unusable responses and leaks: rules of the library (judges/refusal.json, library ${librarySha256.slice(0, 12)})`,
    'phrase list: 29 phrases (llm-attacks)',
    ...(guardModel && rewards.guard !== undefined ? [`unsafe: guard model ${guardModel.source}`] : []),
    ...(judge ? [`graded rewards, scores of analyses: ${judge.model}`] : []),
  ].join('; ');
}

/** Changes that the evaluated requests are too few to show. */
function changePowerNotes({ fromBefore }: ReportData): string[] {
  return requestMeasures.flatMap(([label, of]) => {
    const change = of(fromBefore);
    const note = change ? pairedPowerNote(change.interval, change.pairs) : undefined;
    return note === undefined ? [] : [`${label}: ${note}`];
  });
}

function validatorRows(decisions: readonly ReportedDecision[]): string[][] {
  return decisions.map(({ cycle, trained, figures, next, why, rejected, givenUp }) => {
    const { harmful, harmless } = figures;
    return [
      cycle === 0 ? 'start' : String(cycle),
      trained?.toUpperCase() ?? format.missing,
      `${format.number(figures.harm)} ${format.interval(wilsonInterval(harmful.harm, harmful.n))}`,
      `${format.number(figures.erroneousRefusal)} ${format.interval(wilsonInterval(harmless.refused, harmless.n))}`,
      format.number(figures.cost),
      givenUp ? format.missing : next.toUpperCase(),
      rejected ? `given up: ${rejected}` : givenUp ? 'given up' : why,
    ];
  });
}

/** Planned against used: one row a stage, in the order of the plan. */
function timeRows({ planned, wallSeconds }: ReportData): string[][] {
  const plannedSeconds = Object.fromEntries(planned.stages.map(({ stage, seconds }) => [stage, seconds]));
  const cell = (seconds: number | undefined): string =>
    seconds === undefined ? format.missing : format.duration(seconds);
  const sum = (times: Record<string, number>): number => Object.values(times).reduce((all, one) => all + one, 0);
  const stages = [...new Set([...Object.keys(plannedSeconds), ...Object.keys(wallSeconds)])];
  return [
    ...stages.map((stage) => [stage, cell(plannedSeconds[stage]), cell(wallSeconds[stage])]),
    ['all stages', cell(sum(plannedSeconds)), cell(sum(wallSeconds))],
  ];
}

/** Planned against used, but for time. */
export function useRows({
  planned,
  used,
  peakMemoryBytes,
  configuration,
}: Pick<ReportData, 'planned' | 'used' | 'peakMemoryBytes' | 'configuration'>): string[][] {
  const judgeModel = configuration.judge?.model;
  const engine = peakMemoryBytes['engine'];
  return [
    ['tokens written', `at most ${planned.generatedTokens}`, String(used.generatedTokens)],
    [
      'tokens trained',
      `about ${planned.trainedTokens}`,
      used.trainedTokens === null ? 'not counted' : String(used.trainedTokens),
    ],
    ...(used.judge
      ? [
          [
            `judge ${judgeModel ?? ''}`.trim(),
            `at most ${planned.judgeCalls} questions${planned.judgeCost === null ? '' : `, cost ${planned.judgeCost.toFixed(2)}`}`,
            format.judgeUse(used.judge),
          ],
        ]
      : []),
    ['store', `about ${format.bytes(planned.storeBytes)}`, format.bytes(used.storeBytes)],
    ['requests of the store', `about ${planned.storeRequests}`, used.storeRequests?.toString() ?? notKnown],
    ['actions on the Temporal server', `about ${planned.temporalActions}`, actionsCell(used)],
    [
      "memory of the engine's process",
      `about ${format.bytes(planned.memoryBytes)}`,
      engine ? format.bytes(engine) : format.missing,
    ],
  ];
}

const notKnown = 'not known';

/** What is planned counts heartbeats: where they are not known, that is said. */
function actionsCell({ temporalActions, heartbeats }: ReportData['used']): string {
  if (temporalActions === undefined) return notKnown;
  return heartbeats === undefined
    ? `${temporalActions}, without heartbeats`
    : `${temporalActions + heartbeats}, ${heartbeats} of them heartbeats`;
}

type Measure = [label: string, of: (comparison: Comparison) => Change | null];

/** Benchmarks have no plain requests, and a hazard has none. */
const benchmarkMeasures: Measure[] = [
  ['refusals, harmful', ({ refusal }) => refusal.harmful],
  ['refusals, look-alike harmless', ({ refusal }) => refusal['look-alike']],
  ['harmful − look-alike', ({ gapLookAlike }) => gapLookAlike],
];

const requestMeasures: Measure[] = [
  ['both parts present', (comparison) => comparison.format],
  ['refusals, harmful', ({ refusal }) => refusal.harmful],
  ['refusals, plain harmless', ({ refusal }) => refusal.plain],
  ['refusals, look-alike harmless', ({ refusal }) => refusal['look-alike']],
  ['harmful − plain', ({ gapPlain }) => gapPlain],
  ['harmful − look-alike', ({ gapLookAlike }) => gapLookAlike],
];

/** One row a measure: the change over the untouched model, and over the warm start where that was evaluated. */
function changeRows(
  { fromBefore, fromWarmStart }: Pick<ReportData, 'fromBefore' | 'fromWarmStart'>,
  measures: readonly Measure[],
): { label: string; cells: string[] }[] {
  const comparisons = [fromBefore, ...(fromWarmStart ? [fromWarmStart] : [])];
  return measures.map(([label, of]) => ({ label, cells: comparisons.map((one) => format.change(of(one))) }));
}

function exposureChangeRows({ fromBefore, fromWarmStart }: ReportedExposure): { label: string; cells: string[] }[] {
  return exposures.flatMap((exposure) =>
    changeRows(
      { fromBefore: fromBefore[exposure], ...(fromWarmStart ? { fromWarmStart: fromWarmStart[exposure] } : {}) },
      benchmarkMeasures,
    ).map(({ label, cells }) => ({ label: `${label}, ${exposure} hazards`, cells })),
  );
}

function charts({ iterations, evaluations }: ReportData): ChartSpec[] {
  const rounds = iterations.filter((iteration) => iteration.iteration > 0);
  const curve = (name: string, figure: string, from: readonly ReportedIteration[] = rounds): Curve => ({
    name,
    points: from.flatMap(({ iteration, figures }): [number, number][] => {
      const value = figures[figure];
      return value === undefined ? [] : [[iteration, value]];
    }),
  });
  const start =
    evaluations.find((one) => one.name === 'warm start') ?? evaluations.find((one) => one.name === 'before');
  const withStart = (kind: RequestKind): Curve => {
    const probes = curve(`refuses ${kind}`, `probe/refusal/${kind}`);
    const before = start?.figures.byKind[kind].refusal;
    return before && probes.points.length > 0 ? { ...probes, points: [[0, before.value], ...probes.points] } : probes;
  };
  return [
    { title: 'Mean reward of the sampled chains', curves: [curve('reward', 'reward')] },
    { title: 'Probe: refusals (0 = full set at the start)', curves: requestKinds.map(withStart), bounds: [0, 1] },
    { title: 'Both parts present', curves: [curve('format', 'rewards/format/mean')], bounds: [0, 1] },
    { title: 'KL to the reference', curves: [curve('KL', 'kl')] },
    { title: 'Gradient norm', curves: [curve('gradient norm', 'grad_norm')] },
    { title: 'Tokens of a chain', curves: [curve('mean length', 'completions/mean_length')] },
    { title: 'Preference loss', curves: [curve('loss', 'preference/loss')] },
    {
      title: 'Implicit rewards: margin of preferred over other chains',
      curves: [curve('margin', 'preference/margin')],
    },
    {
      title: 'Preferences that the policy agrees with',
      curves: [curve('share', 'preference/accuracy')],
      bounds: [0, 1],
    },
    { title: 'Entropy', curves: [curve('entropy', 'entropy')] },
    { title: 'Groups without signal', curves: [curve('share', 'frac_reward_zero_std')], bounds: [0, 1] },
  ];
}

interface Sample {
  kind: RequestKind;
  category: string;
  request: string;
  /** `chain`: the name to mark it by. */
  answers: { name: string; answer: ReportedAnswer | undefined; chain: string }[];
}

/** The first requests of each kind, with the answers of every evaluation side by side: the order is the plan's, nobody chose them. */
function samples(evaluations: readonly ReportedEvaluation[]): Sample[] {
  const first = evaluations[0];
  if (!first) return [];
  return requestKinds.flatMap((kind) =>
    first.answers
      .filter((answer) => answer.scored.kind === kind)
      .slice(0, samplesPerKind)
      .map(({ requestId, category, request }) => ({
        kind,
        category,
        request,
        answers: evaluations.map((one) => {
          const answer = one.answers.find((answer) => answer.requestId === requestId);
          return { name: one.name, answer, chain: evaluatedName(one.name, requestId, answer) };
        }),
      })),
  );
}

function evaluatedName(evaluation: string, requestId: string, answer: ReportedAnswer | undefined): string {
  const sets = Object.entries(evaluationSets) as [EvaluationSet, string][];
  const set = sets.find(([, name]) => name === evaluation)?.[0] ?? 'after';
  return chainName({ set, requestId, sample: answer?.scored.sampleIndex ?? 0 });
}

/** The first requests of each kind with all samples of theirs. */
function trainingSamples(
  chains: readonly ReportedChain[],
): { request: ReportedChain['request']; chains: ReportedChain[] }[] {
  const byRequest = [...Map.groupBy(chains, ({ request }) => request.id).values()];
  return requestKinds.flatMap((kind) =>
    byRequest
      .filter(([first]) => first!.request.kind === kind)
      .slice(0, trainingSamplesPerKind)
      .map((group) => ({ request: group[0]!.request, chains: group })),
  );
}
