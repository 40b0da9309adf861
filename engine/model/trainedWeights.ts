/**
 * What training changes, in a folder: a LoRA adapter (PEFT), or every weight of the model (full training). The second kind holds the model's tensors under
 * their own names in the same file, and a configuration that says so; the rest of the engine handles both alike.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors } from '../formats/safetensors.ts';
import { EngineError } from '../policy.ts';
import type { PolicyWeights } from '../policy.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_FILE, readAdapter, tensorNameOf, writeAdapterTensors } from './adapter.ts';
import type { AdaptedModule, Adapter } from './adapter.ts';
import type { DecoderConfig } from './config.ts';
import { convertedWeights, openWeightFile } from './weightFile.ts';
import type { WeightFile } from './weightFile.ts';
import { expectedTensors, openModel } from './weights.ts';

/** The tensors that training changes. */
export interface TrainedWeights {
  /** Projections with an adapter; none where every weight is trained. */
  modules: AdaptedModule[];
  /** Every weight of the model is among the tensors, under its own name. */
  all: boolean;
  tensors: Adapter['tensors'];
}

/** Contents of `adapter_config.json` where every weight is trained. */
export const ALL_WEIGHTS_CONFIG = { trained: 'all' } as const;

/** Names of the tensors, in the order of the model's layers. */
export function trainedNames({ modules, all }: Omit<TrainedWeights, 'tensors'>, config: DecoderConfig): string[] {
  if (all) return [...expectedTensors(config).keys()];
  return modules.flatMap(({ module }) => [tensorNameOf(module, 'A'), tensorNameOf(module, 'B')]);
}

/** Reads what a folder holds. Throws EngineError('invalidInput') naming the file and what does not fit the model. */
export async function readTrained(folder: string, config: DecoderConfig): Promise<TrainedWeights> {
  if (!(await holdsAllWeights(folder))) return { ...(await readAdapter(folder, config)), all: false };
  return { modules: [], all: true, tensors: await readAll(join(folder, ADAPTER_FILE), config) };
}

/** The model's own weights as a starting point for training all of them. */
export async function baseWeights(weightFile: WeightFile): Promise<TrainedWeights> {
  return { modules: [], all: true, tensors: await readAll(weightFile.path, weightFile.config) };
}

/** Writes a folder with every weight of a model, to be trained. */
export async function createAllWeights(modelPath: string, outputPath: string): Promise<void> {
  const files = await openModel(modelPath);
  try {
    const tensors: Adapter['tensors'] = new Map();
    for (const [name, shape] of expectedTensors(files.config))
      tensors.set(name, { data: await files.readTensor(name), shape });
    await writeAdapterTensors(outputPath, tensors);
    await writeFile(join(outputPath, ADAPTER_CONFIG_FILE), `${JSON.stringify(ALL_WEIGHTS_CONFIG)}\n`);
  } finally {
    await files.close();
  }
}

/** What a policy computes with: the model's weights and the adapter on them, or, where every weight was trained, these alone. */
export async function policyWeights(
  policy: PolicyWeights,
  cachePath: string,
): Promise<{ weightFile: WeightFile; adapter: Adapter | undefined }> {
  const weightFile = await convertedWeights(policy, cachePath);
  const folder = policy.adapterPath;
  if (folder === undefined) return { weightFile, adapter: undefined };
  if (!(await holdsAllWeights(folder))) return { weightFile, adapter: await readAdapter(folder, weightFile.config) };
  await checkTensors(join(folder, ADAPTER_FILE), weightFile.config);
  return { weightFile: await openWeightFile(weightFile.config, folder, ADAPTER_FILE), adapter: undefined };
}

async function holdsAllWeights(folder: string): Promise<boolean> {
  try {
    const settings: unknown = JSON.parse(await readFile(join(folder, ADAPTER_CONFIG_FILE), 'utf8'));
    return (settings as { trained?: unknown } | null)?.trained === ALL_WEIGHTS_CONFIG.trained;
  } catch {
    // readAdapter says what is wrong with it.
    return false;
  }
}

async function readAll(path: string, config: DecoderConfig): Promise<Adapter['tensors']> {
  await checkTensors(path, config);
  const file = await readSafetensors(path);
  try {
    const tensors: Adapter['tensors'] = new Map();
    for (const [name, shape] of expectedTensors(config))
      tensors.set(name, { data: await file.readFloat32(name), shape });
    return tensors;
  } finally {
    await file.close();
  }
}

async function checkTensors(path: string, config: DecoderConfig): Promise<void> {
  const file = await readSafetensors(path);
  await file.close();
  for (const [name, shape] of expectedTensors(config)) {
    const found = file.tensors.get(name);
    if (found?.shape.join() !== shape.join())
      throw new EngineError(
        'invalidInput',
        `${path}: '${name}' is ${found ? `[${found.shape.join(', ')}]` : 'missing'}, the model's is [${shape.join(', ')}]. Use trained weights on the model that they were trained from.`,
      );
  }
}
