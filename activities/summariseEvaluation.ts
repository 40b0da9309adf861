/** The figures of an evaluation, with every answer they come from. */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { exposedKinds, exposureFigures, exposures } from '../alignment/evaluation/exposure.ts';
import { evaluationFigures, type ChainFigures } from '../alignment/evaluation/figures.ts';
import { meanLoss, type AnswerLoss } from '../alignment/evaluation/utility.ts';
import { requestKinds } from '../alignment/library/library.ts';
import type { ReportedAnswer, ReportedEvaluation, ReportedFaithfulness } from '../alignment/report/reportData.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, RunContext, StageOutcome } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { FaithfulnessArtifact } from './faithfulness.ts';
import { readConfiguration, readJson, readLibrary } from './inputs.ts';
import { requestsById } from '../alignment/library/requestsById.ts';

export interface EvaluationArtifact extends Omit<ReportedEvaluation, 'sha256' | 'faithfulness'> {
  /** `details`: the FaithfulnessArtifact, with the outcomes of every pair and where its chains are. */
  faithfulness?: ReportedFaithfulness & { details: ArtifactRef };
  /** What a judge behind an endpoint was asked; absent = none was. */
  judge?: Figures;
}

export interface EvaluationParts {
  name: string;
  chains: ArtifactRef;
  rewards: ArtifactRef;
  /** Losses on the untouched model's answers; a probe measures none. */
  losses?: ArtifactRef;
  /** FaithfulnessArtifact; absent = not measured. */
  faithfulness?: ArtifactRef;
  /** Of a judge behind an endpoint (addJudgeUse); absent = none was asked. */
  judge?: Figures;
}

export async function summariseEvaluation(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: EvaluationParts,
): Promise<StageOutcome> {
  const library = await readLibrary(dependencies.store, run);
  const { withhold } = (await readConfiguration(dependencies.store, run)).library;
  const requests = requestsById(library);
  const chains = await readShards<ChainRecord>(dependencies, input.chains);
  const rewards = await readShards<ScoredChain>(dependencies, input.rewards);
  const losses = input.losses ? await readJson<AnswerLoss[]>(dependencies.store, input.losses) : undefined;
  const faithfulness = input.faithfulness && (await faithfulnessOf(dependencies.store, input.faithfulness));
  const answers = chains.map((chain, index): ReportedAnswer => {
    const { category, request } = requests.get(chain.requestId)!;
    return { requestId: chain.requestId, category, request, text: chain.text, scored: rewards[index]! };
  });
  const benchmarkOf = new Map(
    Object.entries(library.benchmarks).flatMap(([name, ofBenchmark]) =>
      ofBenchmark.map(({ id }) => [id, name] as const),
    ),
  );
  const own = answers.filter(({ requestId }) => !benchmarkOf.has(requestId));
  const figures = evaluationFigures(own.map(({ scored }) => scored));
  const benchmarks = Object.keys(library.benchmarks).flatMap((name) => {
    const ofBenchmark = answers.filter(({ requestId }) => benchmarkOf.get(requestId) === name);
    if (ofBenchmark.length === 0) return [];
    return [{ name, figures: evaluationFigures(ofBenchmark.map(({ scored }) => scored)), answers: ofBenchmark }];
  });
  const byExposure = exposureFigures(own, withhold);
  const evaluation: EvaluationArtifact = {
    name: input.name,
    figures,
    ...(byExposure ? { byExposure } : {}),
    answers: own,
    ...(losses ? { losses } : {}),
    ...(faithfulness ? { faithfulness } : {}),
    ...(input.judge ? { judge: input.judge } : {}),
    ...(benchmarks.length > 0 ? { benchmarks } : {}),
  };
  return {
    artifact: await dependencies.store.putBytes(canonicalJson(evaluation), 'evaluation'),
    figures: {
      ...flatFigures(figures.all, figures.byKind),
      ...(losses && losses.length > 0 ? { 'utility/loss': meanLoss(losses)! } : {}),
      ...benchmarkFigures(benchmarks),
      ...flatExposures(byExposure),
    },
  };
}

function benchmarkFigures(benchmarks: NonNullable<EvaluationArtifact['benchmarks']>): Figures {
  return Object.fromEntries(
    benchmarks.flatMap(({ name, figures }) =>
      requestKinds.flatMap((kind) => {
        const { refusal } = figures.byKind[kind];
        return refusal ? [[`${name}/refusal/${kind}`, refusal.value] as const] : [];
      }),
    ),
  );
}

async function faithfulnessOf(
  store: ArtifactStore,
  ref: ArtifactRef,
): Promise<EvaluationArtifact['faithfulness'] & object> {
  const { judge, figures } = await readJson<FaithfulnessArtifact>(store, ref);
  return { judge, figures, details: ref };
}

/** `refusal/harmful/unseen` and the like. */
function flatExposures(byExposure: EvaluationArtifact['byExposure']): Figures {
  return Object.fromEntries(
    exposures.flatMap((exposure) =>
      exposedKinds.flatMap((kind) => {
        const refusal = byExposure?.[exposure].byKind[kind].refusal;
        return refusal ? [[`refusal/${kind}/${exposure}`, refusal.value] as const] : [];
      }),
    ),
  );
}

/** The few numbers that progress, card and status show; the artifact has the rest, with intervals. */
function flatFigures(all: ChainFigures, byKind: Record<string, ChainFigures>): Figures {
  const flat: Figures = { chains: all.n };
  if (all.format) flat['format'] = all.format.value;
  if (all.meanReward !== null) flat['reward'] = all.meanReward;
  for (const [kind, figures] of Object.entries(byKind)) {
    if (figures.refusal) flat[`refusal/${kind}`] = figures.refusal.value;
    if (figures.harmByGuard) flat[`harm/${kind}`] = figures.harmByGuard.value;
  }
  return flat;
}
