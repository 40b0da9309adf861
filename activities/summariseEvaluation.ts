/** The figures of an evaluation, with every answer they come from. */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { exposureFigures } from '../alignment/evaluation/exposure.ts';
import { evaluationFigures } from '../alignment/evaluation/figures.ts';
import type { AnswerLoss } from '../alignment/evaluation/utility.ts';
import type { ReportedAnswer, ReportedEvaluation, ReportedFaithfulness } from '../alignment/report/reportData.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, RunContext, StageOutcome } from './types.ts';
import { toldFigures } from './toldFigures.ts';
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
    figures: toldFigures(evaluation),
  };
}

async function faithfulnessOf(
  store: ArtifactStore,
  ref: ArtifactRef,
): Promise<EvaluationArtifact['faithfulness'] & object> {
  const { judge, figures } = await readJson<FaithfulnessArtifact>(store, ref);
  return { judge, figures, details: ref };
}
