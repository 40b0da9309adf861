/** Exports a policy: a PEFT adapter folder (where an adapter was trained) and a merged Hugging Face folder, each file an artifact. */
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { mergedFolderCard, adapterFolderCard } from '../alignment/report/modelCard.ts';
import { engineVersion } from '../engine/version.ts';
import { writeAdapterConfig } from '../engine/formats/peft.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { StepOutput } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, PolicyState, RunContext } from './types.ts';
import type { GpuDependencies } from './dependencies.ts';
import { engineSettings, localPolicy, readConfiguration, readJson, trainedPart } from './inputs.ts';
import type { FolderManifest, ModelManifest } from './plans.ts';
import { runStage, withEngine } from './stage.ts';
import { stageVersions } from './versions.ts';

export async function exportPolicy(
  dependencies: GpuDependencies,
  run: RunContext,
  state: PolicyState,
): Promise<ArtifactRef> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const model = await readJson<ModelManifest>(store, state.model);
  const manifest = await runStage(
    dependencies,
    {
      stage: 'exportPolicy',
      version: stageVersions.exportPolicy,
      inputs: {
        engine: engineVersion,
        model: state.model.sha256,
        adapter: state.adapter!.sha256,
        lora: trainedPart(configuration),
        run: run.runId,
      },
    },
    async (spool) => {
      const policy = await localPolicy(dependencies, configuration, state);
      const merged = join(spool, 'merged');
      const engine = dependencies.engineFor(engineSettings(dependencies, configuration));
      await withEngine(engine, (onProgress) => engine.exportMerged({ policy, outputPath: merged }, onProgress));
      const card = { runId: run.runId, model, configuration, adapterSha256: state.adapter!.sha256 };
      await writeFile(join(merged, 'README.md'), mergedFolderCard(card));

      const outputs: Record<string, StepOutput> = {};
      for (const file of await filesBelow(merged))
        outputs[`merged/${relative(merged, file)}`] = { file, kind: 'export' };
      if (configuration.trained === 'all') return { outputs };
      await store.fetchToFile(state.adapter!, join(spool, 'adapter_model.safetensors'));
      outputs['adapter/adapter_model.safetensors'] = {
        file: join(spool, 'adapter_model.safetensors'),
        kind: 'adapter',
      };
      outputs['adapter/adapter_config.json'] = {
        bytes: writeAdapterConfig(configuration.lora, model.baseModelName),
        kind: 'export',
      };
      outputs['adapter/README.md'] = { bytes: adapterFolderCard(card), kind: 'export' };
      return { outputs };
    },
  );
  const folder: FolderManifest = {
    files: Object.entries(manifest.outputs)
      .map(([path, artifact]) => ({ path, artifact }))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
  return store.putBytes(canonicalJson(folder), 'export');
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const files = [];
  for (const name of names.sort()) if ((await stat(join(folder, name))).isFile()) files.push(join(folder, name));
  return files;
}
