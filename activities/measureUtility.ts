/** What alignment costs a policy elsewhere: its loss on the untouched model's own answers to harmless held-out requests. */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import type { AnswerLoss } from '../alignment/evaluation/utility.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardReport } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { GpuDependencies } from './dependencies.ts';
import { reportOf } from './generateChains.ts';
import { engineSettings, localPolicy, policyInputs, readConfiguration, readJson, readLibrary } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import { measuredWithinMemory, runStage, withEngine } from './stage.ts';
import { stageVersions } from './versions.ts';

export interface UtilityInput {
  /** Chain list of the evaluation of the untouched model. */
  answers: ArtifactRef;
  policy: PolicyState;
}

export interface UtilityReport extends ShardReport {
  losses: ArtifactRef;
}

/** Benchmark requests are left out: their benign half tests refusal, and there are many of them. */
export async function measureUtility(
  dependencies: GpuDependencies,
  run: RunContext,
  { answers, policy }: UtilityInput,
): Promise<UtilityReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const { split } = configuration.evaluation;
  const library = await readLibrary(store, run);
  const harmless = new Set(library.requests[split].flatMap(({ id, label }) => (label === 'harmless' ? [id] : [])));
  const chains = (await readShards<ChainRecord>(dependencies, answers)).filter(
    ({ requestId, tokens }) => harmless.has(requestId) && tokens.length > 0,
  );
  const model = await readJson<ModelManifest>(store, policy.model);
  const stage = {
    stage: 'measureUtility',
    version: stageVersions.measureUtility,
    inputs: {
      ...policyInputs(configuration, model, policy),
      answers: chains.map(({ requestId, promptTokens, tokens }) => ({ requestId, promptTokens, tokens })),
    },
  };
  const manifest = await runStage(dependencies, stage, async () => {
    const weights = await localPolicy(dependencies, configuration, policy);
    const sequences = chains.map(({ requestId, promptTokens, tokens }) => ({
      id: requestId,
      promptTokens,
      completionTokens: tokens,
    }));
    const settings = engineSettings(dependencies, configuration);
    const { value: logProbs, figures } = await measuredWithinMemory(dependencies, settings, (engine) =>
      withEngine(engine, (onProgress) => engine.logProbs({ policy: weights, temperature: 1, sequences }, onProgress)),
    );
    const losses = chains.map(({ requestId, tokens }, row): AnswerLoss => ({
      requestId,
      tokens: tokens.length,
      loss: -logProbs[row]!.reduce((sum, value) => sum + value, 0) / tokens.length,
    }));
    return {
      outputs: { losses: { bytes: canonicalJson(losses), kind: 'answer-losses' } },
      figures: {
        tokens: losses.reduce((sum, { tokens }) => sum + tokens, 0),
        ...figures,
      },
    };
  });
  return { ...reportOf(manifest), losses: manifest.outputs['losses']! };
}
