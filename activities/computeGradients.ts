/** The gradient of one shard: forward and backward over its groups of sequences, summed as a balanced tree. */
import { join } from 'node:path';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { GradientRequest, SequenceMetrics } from '../engine/policy.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardReport } from './types.ts';
import type { ActivityDependencies, GpuDependencies } from './dependencies.ts';
import { engineSettings, localPolicy, policyInputs, readConfiguration, readJson } from './inputs.ts';
import { reportOf } from './generateChains.ts';
import type { GradientShard, ModelManifest, OptimisationPlan } from './plans.ts';
import { measuredWithinMemory, runStage, withEngine, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

export interface UpdateStepInput {
  plan: ArtifactRef;
  step: number;
  policy: PolicyState;
  reference?: PolicyState;
}

export async function computeGradients(
  dependencies: GpuDependencies,
  run: RunContext,
  input: UpdateStepInput & { shard: number },
): Promise<ShardReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<OptimisationPlan>(store, input.plan);
  const shardRef = plan.steps[input.step]!.shards[input.shard]!;
  const model = await readJson<ModelManifest>(store, input.policy.model);

  const manifest = await runStage(dependencies, gradientStage(shardRef, model, input, configuration), async (spool) => {
    const shard = await readJson<GradientShard>(store, shardRef);
    const { adapterPath, ...base } = await localPolicy(dependencies, configuration, input.policy);
    const reference = input.reference ? await localPolicy(dependencies, configuration, input.reference) : undefined;
    const outputPath = join(spool, 'gradient.safetensors');
    const request: GradientRequest = {
      model: base,
      adapterPath: adapterPath!,
      ...(reference ? { reference: reference.adapterPath ? { adapterPath: reference.adapterPath } : 'base' } : {}),
      sequences: shard.sequences,
      objective: shard.objective,
      outputPath,
    };
    const settings = engineSettings(dependencies, configuration);
    const measured = await measuredWithinMemory(dependencies, settings, (engine) =>
      withEngine(engine, (onProgress) => engine.gradients(request, onProgress)),
    );
    const { value: result, figures, microBatchTokens } = measured;
    return {
      outputs: {
        gradient: { file: outputPath, kind: 'gradient' },
        metrics: { bytes: JSON.stringify(result.sequences), kind: 'sequence-metrics' },
      },
      figures: {
        tokens: result.realTokens,
        computedTokens: result.computedTokens,
        ...figures,
        ...(microBatchTokens === configuration.engine.microBatchTokens ? {} : { microBatchTokens }),
      },
    };
  });
  return reportOf(manifest);
}

function gradientStage(
  shard: ArtifactRef,
  model: ModelManifest,
  input: UpdateStepInput,
  configuration: Configuration,
): Stage {
  return {
    stage: 'computeGradients',
    version: stageVersions.computeGradients,
    inputs: {
      ...policyInputs(configuration, model, input.policy),
      reference: input.reference ? (input.reference.adapter?.sha256 ?? 'base') : null,
      // Which samples of a prompt are computed together.
      microBatchTokens: configuration.engine.microBatchTokens,
      shard: shard.sha256,
    },
  };
}

/** Gradient artifacts and metrics of all shards of a step, in canonical order; undefined where one has not been computed. */
export async function stepGradients(
  { store }: ActivityDependencies,
  plan: OptimisationPlan,
  input: UpdateStepInput,
  configuration: Configuration,
): Promise<{ gradients: ArtifactRef[]; metrics: SequenceMetrics[] } | undefined> {
  const model = await readJson<ModelManifest>(store, input.policy.model);
  const gradients: ArtifactRef[] = [];
  const metrics: SequenceMetrics[] = [];
  for (const shard of plan.steps[input.step]!.shards) {
    const manifest = await readStep(store, stepKey(gradientStage(shard, model, input, configuration)));
    if (!manifest) return undefined;
    gradients.push(manifest.outputs['gradient']!);
    metrics.push(...(await readJson<SequenceMetrics[]>(store, manifest.outputs['metrics']!)));
  }
  return { gradients, metrics };
}
