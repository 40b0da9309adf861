/** Activities of the gpu queue: everything that runs the engine. One slot a device. */
import type { ArtifactRef, PolicyState, RunContext } from './types.ts';
import { embedTexts, type EmbeddingInput } from './embedTexts.ts';
import { computeGradients, type UpdateStepInput } from './computeGradients.ts';
import { createAdapter } from './createAdapter.ts';
import type { GpuDependencies } from './dependencies.ts';
import { exportPolicy } from './exportPolicy.ts';
import { generateChains, type GenerationInput } from './generateChains.ts';
import { guardChains, type GuardInput } from './guardChains.ts';
import { judgeByPolicy, type ValidationShard } from './judgeValidation.ts';
import { measureUtility, type UtilityInput } from './measureUtility.ts';
import { withPulse } from './pulse.ts';
import { scorePreferences, type PreferenceScoring } from './scorePreferences.ts';
import { searchSuffix, type SuffixInput } from './searchSuffix.ts';
import { updatePolicy } from './updatePolicy.ts';

export function createGpuActivities(dependencies: GpuDependencies) {
  // Fetching and publishing heartbeat by the clock, the engine on its progress only (stage.ts).
  return withPulse({
    createAdapter: (run: RunContext, input: { model: ArtifactRef }) => createAdapter(dependencies, run, input),
    embedTexts: (run: RunContext, input: EmbeddingInput) => embedTexts(dependencies, run, input),
    generateChains: (run: RunContext, input: GenerationInput) => generateChains(dependencies, run, input),
    guardChains: (run: RunContext, input: GuardInput) => guardChains(dependencies, run, input),
    measureUtility: (run: RunContext, input: UtilityInput) => measureUtility(dependencies, run, input),
    scorePreferences: (run: RunContext, input: PreferenceScoring & { shard: number }) =>
      scorePreferences(dependencies, run, input),
    judgeByPolicy: (run: RunContext, input: ValidationShard) => judgeByPolicy(dependencies, run, input),
    computeGradients: (run: RunContext, input: UpdateStepInput & { shard: number }) =>
      computeGradients(dependencies, run, input),
    updatePolicy: (run: RunContext, input: UpdateStepInput) => updatePolicy(dependencies, run, input),
    searchSuffix: (run: RunContext, input: SuffixInput & { index: number }) => searchSuffix(dependencies, run, input),
    exportPolicy: (run: RunContext, policy: PolicyState) => exportPolicy(dependencies, run, policy),
  });
}

export type GpuActivities = ReturnType<typeof createGpuActivities>;
