/** Log-probabilities of one shard of sequences, under the policy and under its reference: the first of the two passes of a preference loss. */
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { PolicyWeights } from '../engine/policy.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardReport } from './types.ts';
import type { ActivityDependencies, GpuDependencies } from './dependencies.ts';
import { reportOf } from './generateChains.ts';
import { engineSettings, localPolicy, policyInputs, readConfiguration, readJson } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import type { PreferencePlan, PreferenceScore, PreferenceShard } from './preferencePlan.ts';
import { measuredWithinMemory, runStage, withEngine, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

export interface PreferenceScoring {
  preferences: ArtifactRef;
  policy: PolicyState;
  reference: PolicyState;
}

export async function scorePreferences(
  dependencies: GpuDependencies,
  run: RunContext,
  input: PreferenceScoring & { shard: number },
): Promise<ShardReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<PreferencePlan>(store, input.preferences);
  const shardRef = plan.shards[input.shard]!;
  const model = await readJson<ModelManifest>(store, input.policy.model);

  const manifest = await runStage(dependencies, scoringStage(shardRef, model, input, configuration), async () => {
    const { sequences } = await readJson<PreferenceShard>(store, shardRef);
    const policy = await localPolicy(dependencies, configuration, input.policy);
    // In the first iteration the policy is its own reference.
    const isReference = input.policy.adapter?.sha256 === input.reference.adapter?.sha256;
    const reference = isReference ? undefined : await localPolicy(dependencies, configuration, input.reference);
    const settings = engineSettings(dependencies, configuration);
    const { value, figures } = await measuredWithinMemory(dependencies, settings, async (engine) => {
      const logProbs = (weights: PolicyWeights): Promise<number[][]> =>
        withEngine(engine, (onProgress) => engine.logProbs({ policy: weights, temperature: 1, sequences }, onProgress));
      const current = await logProbs(policy);
      return { current, reference: reference ? await logProbs(reference) : current };
    });
    const scores = sequences.map(({ id }, row) => scoreOf(id, value.current[row]!, value.reference[row]!));
    return {
      outputs: { scores: { bytes: canonicalJson(scores), kind: 'preference-scores' } },
      figures: { tokens: scores.reduce((sum, { tokens }) => sum + tokens, 0), ...figures },
    };
  });
  return reportOf(manifest);
}

function scoreOf(id: string, logProbs: readonly number[], referenceLogProbs: readonly number[]): PreferenceScore {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    id,
    logProb: sum(logProbs),
    referenceLogProb: sum(referenceLogProbs),
    tokens: logProbs.length,
    kl: sum(
      logProbs.map((logProb, token) => {
        const logRatio = referenceLogProbs[token]! - logProb;
        return Math.exp(logRatio) - 1 - logRatio;
      }),
    ),
  };
}

function scoringStage(
  shard: ArtifactRef,
  model: ModelManifest,
  { policy, reference }: PreferenceScoring,
  configuration: Configuration,
): Stage {
  return {
    stage: 'scorePreferences',
    version: stageVersions.scorePreferences,
    inputs: {
      ...policyInputs(configuration, model, policy),
      reference: reference.adapter?.sha256 ?? 'base',
      shard: shard.sha256,
    },
  };
}

/** Scores of all sequences of a plan by their ids; undefined where a shard has not been scored. */
export async function preferenceScores(
  { store }: ActivityDependencies,
  plan: PreferencePlan,
  input: PreferenceScoring,
  configuration: Configuration,
): Promise<Map<string, PreferenceScore> | undefined> {
  const model = await readJson<ModelManifest>(store, input.policy.model);
  const scores = new Map<string, PreferenceScore>();
  for (const shard of plan.shards) {
    const manifest = await readStep(store, stepKey(scoringStage(shard, model, input, configuration)));
    if (!manifest) return undefined;
    for (const score of await readJson<PreferenceScore[]>(store, manifest.outputs['scores']!))
      scores.set(score.id, score);
  }
  return scores;
}
