/** One optimizer step: the shards' gradients summed as a balanced tree, clipped, AdamW; a new adapter and new moments. */
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/activity';
import { engineVersion } from '../engine/version.ts';
import type { SequenceMetrics } from '../engine/policy.ts';
import type { Figures, RunContext, UpdateOutcome } from './types.ts';
import { stepGradients, type UpdateStepInput } from './computeGradients.ts';
import type { GpuDependencies } from './dependencies.ts';
import { engineSettings, forgetAdapters, localPolicy, readConfiguration, readJson } from './inputs.ts';
import type { OptimisationPlan } from './plans.ts';
import { runStage, withEngine } from './stage.ts';
import { stageVersions } from './versions.ts';

export async function updatePolicy(
  dependencies: GpuDependencies,
  run: RunContext,
  input: UpdateStepInput,
): Promise<UpdateOutcome> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<OptimisationPlan>(store, input.plan);
  const { optimizer } = plan.steps[input.step]!;
  const shards = await stepGradients(dependencies, plan, input, configuration);
  if (!shards) {
    throw ApplicationFailure.retryable(
      `a gradient of step ${input.step + 1} is not in the store ${store.uri}: was an artifact removed?`,
      'ShardMissing',
    );
  }

  const startedAt = performance.now();
  const manifest = await runStage(
    dependencies,
    {
      stage: 'updatePolicy',
      version: stageVersions.updatePolicy,
      inputs: {
        engine: engineVersion,
        adapter: input.policy.adapter!.sha256,
        moments: input.policy.optimizer?.sha256 ?? null,
        gradients: shards.gradients.map((gradient) => gradient.sha256),
        optimizer,
      },
    },
    async (spool) => {
      const { adapterPath } = await localPolicy(dependencies, configuration, input.policy);
      const gradientPaths: string[] = [];
      for (const [index, gradient] of shards.gradients.entries()) {
        const path = join(spool, `gradient-${index}.safetensors`);
        await store.fetchToFile(gradient, path);
        gradientPaths.push(path);
      }
      const momentsPath = join(spool, 'moments.safetensors');
      if (input.policy.optimizer) await store.fetchToFile(input.policy.optimizer, momentsPath);
      const outputAdapterPath = join(spool, 'adapter');
      const outputOptimizerStatePath = join(spool, 'new-moments.safetensors');
      const engine = dependencies.engineFor(engineSettings(dependencies, configuration));
      const result = await withEngine(engine, () =>
        engine.update({
          adapterPath: adapterPath!,
          ...(input.policy.optimizer ? { optimizerStatePath: momentsPath } : {}),
          gradientPaths,
          optimizer,
          outputAdapterPath,
          outputOptimizerStatePath,
        }),
      );
      return {
        outputs: {
          adapter: { file: join(outputAdapterPath, 'adapter_model.safetensors'), kind: 'adapter' },
          optimizer: { file: outputOptimizerStatePath, kind: 'optimizer' },
        },
        figures: { grad_norm: result.gradNorm, learning_rate: optimizer.learningRate, step: result.step },
      };
    },
  );
  const adapter = manifest.outputs['adapter']!;
  await forgetAdapters(
    dependencies,
    [adapter, input.policy.adapter, input.reference?.adapter].flatMap((ref) => ref?.sha256 ?? []),
  );
  return {
    policy: { model: input.policy.model, adapter, optimizer: manifest.outputs['optimizer']! },
    figures: { ...(manifest.figures as Figures), ...batchFigures(shards.metrics) },
    cached: manifest.cached,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

/** Means over the tokens of the batch, in canonical order; the loss is a sum already. */
function batchFigures(metrics: readonly SequenceMetrics[]): Figures {
  const tokens = metrics.reduce((sum, row) => sum + row.tokens, 0);
  const tokenMean = (value: (row: SequenceMetrics) => number): number =>
    metrics.reduce((sum, row) => sum + value(row) * row.tokens, 0) / tokens;
  return {
    loss: metrics.reduce((sum, row) => sum + row.loss, 0),
    kl: tokenMean((row) => row.kl),
    entropy: tokenMean((row) => row.entropy),
    'clip_ratio/low_mean': tokenMean((row) => row.clipFractionLow),
    'clip_ratio/high_mean': tokenMean((row) => row.clipFractionHigh),
  };
}
