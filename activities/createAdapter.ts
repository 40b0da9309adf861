/** Where training begins: a fresh LoRA adapter (A from the run's seed, B zero), or the model's own weights. */
import { join } from 'node:path';
import { engineVersion } from '../engine/version.ts';
import { deriveSeed } from '../infra/artifacts/seeds.ts';
import type { ArtifactRef, RunContext } from './types.ts';
import type { GpuDependencies } from './dependencies.ts';
import { engineSettings, localPolicy, readConfiguration, readJson, trainedPart } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import { runStage, withEngine } from './stage.ts';
import { stageVersions } from './versions.ts';

export async function createAdapter(
  dependencies: GpuDependencies,
  run: RunContext,
  input: { model: ArtifactRef },
): Promise<ArtifactRef> {
  const configuration = await readConfiguration(dependencies.store, run);
  const model = await readJson<ModelManifest>(dependencies.store, input.model);
  const seed = deriveSeed(configuration.seed, 'adapter');
  const manifest = await runStage(
    dependencies,
    {
      stage: 'createAdapter',
      version: stageVersions.createAdapter,
      inputs: { engine: engineVersion, model: model.digest, lora: trainedPart(configuration), seed },
    },
    async (spool) => {
      const engine = dependencies.engineFor(engineSettings(dependencies, configuration));
      const policy = await localPolicy(dependencies, configuration, input);
      const outputPath = join(spool, 'adapter');
      await withEngine(engine, () =>
        engine.createAdapter({
          model: policy,
          lora: trainedPart(configuration),
          seed,
          outputPath,
          baseModelName: model.baseModelName,
        }),
      );
      return { outputs: { adapter: { file: join(outputPath, 'adapter_model.safetensors'), kind: 'adapter' } } };
    },
  );
  return manifest.outputs['adapter']!;
}
