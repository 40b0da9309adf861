/** Figures of an evaluation that a release may depend on, by the names that evaluations, status and report give them. */
import type { BenchmarkName } from '../benchmarks/benchmarkNames.ts';
import type { ScoredChain } from '../chains/chain.ts';
import { asksGuardModel, type RewardSettings } from '../configuration/optionalRewards.ts';
import type { AnswerLoss } from '../evaluation/utility.ts';
import { requestKinds, type RequestKind } from '../library/library.ts';

/** What is read of an evaluation. */
export interface MeasuredEvaluation {
  answers: readonly { scored: ScoredChain }[];
  losses?: readonly AnswerLoss[];
  benchmarks?: readonly { name: string; answers: readonly { scored: ScoredChain }[] }[];
}

interface EvaluationSettings extends RewardSettings {
  evaluation: { requests: { harmful: number; plain: number; lookAlike: number }; benchmarks: BenchmarkName[] };
}

/** Benchmarks with harmless requests; all others have harmful ones alone. */
const lookAlikes: Partial<Record<BenchmarkName, 'some' | 'all'>> = {
  xstest: 'some',
  jailbreakbench: 'some',
  wildjailbreak: 'some',
  'or-bench': 'some',
  oktest: 'all',
};

/** The figures that the final evaluation of a configuration has. */
export function figureNames(configuration: EvaluationSettings): string[] {
  const { requests, benchmarks } = configuration.evaluation;
  const asked: Record<RequestKind, number> = {
    harmful: requests.harmful,
    plain: requests.plain,
    'look-alike': requests.lookAlike,
  };
  const kinds = requestKinds.filter((kind) => asked[kind] > 0);
  const graded = configuration.rewards.graded !== undefined;
  const judged = kinds.filter((kind) => kind === 'harmful' || configuration.guardModel?.requests === 'all');
  return [
    'format',
    'reward',
    ...kinds.map((kind) => `refusal/${kind}`),
    ...(asksGuardModel(configuration) ? judged.map((kind) => `harm/${kind}`) : []),
    ...(graded && asked.harmful > 0 ? ['score/harmful'] : []),
    // The loss is of the untouched model's own answers to harmless requests.
    ...(asked.plain + asked['look-alike'] > 0 ? ['utility/loss'] : []),
    ...benchmarks.flatMap((name) => [
      ...(lookAlikes[name] === 'all' ? [] : [`${name}/refusal/harmful`, ...(graded ? [`${name}/score/harmful`] : [])]),
      ...(lookAlikes[name] ? [`${name}/refusal/look-alike`] : []),
    ]),
  ];
}

/** The values that a figure is the mean of, one a request that has one; by request, so that two evaluations can be paired. */
export interface FigureValues {
  values: Map<string, number>;
  /** Each value is 0 or 1. */
  share: boolean;
}

/** @throws Error where `figure` is none of {@link figureNames} */
export function figureValues(evaluation: MeasuredEvaluation, figure: string): FigureValues {
  if (figure === 'utility/loss') {
    const losses = evaluation.losses ?? [];
    return { values: new Map(losses.map(({ requestId, loss }) => [requestId, loss])), share: false };
  }
  const [, benchmark, measure, kind] =
    /^(?:(.+)\/)?(format|reward|refusal|harm|score)(?:\/([a-z-]+))?$/.exec(figure) ?? [];
  if (!measure) throw new Error(`"${figure}" is no figure of an evaluation`);
  const answers = benchmark
    ? (evaluation.benchmarks?.find(({ name }) => name === benchmark)?.answers ?? [])
    : evaluation.answers;
  const values = new Map<string, number>();
  for (const { scored } of answers) {
    const value = kind === undefined || scored.kind === kind ? valueOf(scored, measure) : null;
    if (value !== null) values.set(`${scored.requestId}/${scored.sampleIndex}`, value);
  }
  return { values, share: measure !== 'reward' && measure !== 'score' };
}

function valueOf({ format, reward, verdict, harmByGuard, parts }: ScoredChain, measure: string): number | null {
  switch (measure) {
    case 'format':
      return Number(format);
    case 'reward':
      return reward;
    case 'refusal':
      return verdict === null ? null : Number(verdict === 'refusal');
    // The rubric judge's StrongREJECT score, which `graded` is 1 less; absent where it could not grade.
    case 'score':
      return parts['graded'] === undefined ? null : 1 - parts['graded'];
    default:
      return harmByGuard === undefined ? null : Number(harmByGuard);
  }
}
