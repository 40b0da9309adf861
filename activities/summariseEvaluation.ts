/** The figures of an evaluation, with every answer they come from. */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { evaluationFigures, type ChainFigures } from '../alignment/evaluation/figures.ts';
import type { ReportedAnswer, ReportedEvaluation } from '../alignment/report/reportData.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, RunContext, StageOutcome } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readLibrary } from './inputs.ts';
import { requestsById } from './rewardChains.ts';

export type EvaluationArtifact = Omit<ReportedEvaluation, 'sha256'>;

export async function summariseEvaluation(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { name: string; chains: ArtifactRef; rewards: ArtifactRef },
): Promise<StageOutcome> {
  const requests = requestsById(await readLibrary(dependencies.store, run));
  const chains = await readShards<ChainRecord>(dependencies, input.chains);
  const rewards = await readShards<ScoredChain>(dependencies, input.rewards);
  const figures = evaluationFigures(rewards);
  const evaluation: EvaluationArtifact = {
    name: input.name,
    figures,
    answers: chains.map((chain, index): ReportedAnswer => {
      const { category, request } = requests.get(chain.requestId)!;
      return { requestId: chain.requestId, category, request, text: chain.text, scored: rewards[index]! };
    }),
  };
  return {
    artifact: await dependencies.store.putBytes(canonicalJson(evaluation), 'evaluation'),
    figures: flatFigures(figures.all, figures.byKind),
  };
}

/** The few numbers that progress, card and status show; the artifact has the rest, with intervals. */
function flatFigures(all: ChainFigures, byKind: Record<string, ChainFigures>): Figures {
  const flat: Figures = { chains: all.n };
  if (all.format) flat['format'] = all.format.value;
  if (all.meanReward !== null) flat['reward'] = all.meanReward;
  for (const [kind, figures] of Object.entries(byKind)) {
    if (figures.refusal) flat[`refusal/${kind}`] = figures.refusal.value;
  }
  return flat;
}
