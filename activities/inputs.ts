/** A run's inputs and artifacts, read from the store; small JSON is parsed once a process. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { Library } from '../alignment/library/library.ts';
import { parseLibrary } from '../alignment/library/parseLibrary.ts';
import type { EngineSettings, LoraSettings, PolicyWeights } from '../engine/policy.ts';
import { ALL_WEIGHTS_CONFIG } from '../engine/model/trainedWeights.ts';
import { engineVersion } from '../engine/version.ts';
import type { ArtifactRef, ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { keepLocal } from '../infra/artifacts/localFiles.ts';
import type { PolicyState, RunContext } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ModelManifest } from './plans.ts';

const parsed = new Map<string, unknown>();
const mostParsed = 64;

/** A JSON artifact, parsed; the newest 64 stay in memory. */
export async function readJson<T>(store: ArtifactStore, ref: ArtifactRef): Promise<T> {
  const known = parsed.get(ref.sha256);
  if (known !== undefined) return known as T;
  const value = JSON.parse(new TextDecoder().decode(await store.getBytes(ref))) as T;
  remember(ref.sha256, value);
  return value;
}

/** A JSON Lines artifact. */
export async function readLines<T>(store: ArtifactStore, ref: ArtifactRef): Promise<T[]> {
  const text = new TextDecoder().decode(await store.getBytes(ref));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

export function toLines(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

export function readConfiguration(store: ArtifactStore, run: RunContext): Promise<Configuration> {
  return readJson<Configuration>(store, run.configuration);
}

export async function readLibrary(store: ArtifactStore, run: RunContext): Promise<Library> {
  const key = `library:${run.library.sha256}`;
  const known = parsed.get(key);
  if (known !== undefined) return known as Library;
  const library = parseLibrary(await readJson<Record<string, string>>(store, run.library));
  remember(key, library);
  return library;
}

export function engineSettings(dependencies: ActivityDependencies, configuration: Configuration): EngineSettings {
  const { threads, device, allowFallback, decodeBatch, microBatchTokens } = configuration.engine;
  return {
    threads,
    device,
    ...(allowFallback ? { allowFallback } : {}),
    decodeBatch,
    microBatchTokens,
    cachePath: join(dependencies.localPath, 'engine'),
  };
}

/** What the run trains: an adapter, or every weight. */
export function trainedPart({ trained, lora }: Configuration): LoraSettings | 'all' {
  return trained ?? lora;
}

/** What the engine and the policy that it runs add to a step's inputs. */
export function policyInputs(configuration: Configuration, model: ModelManifest, { adapter }: PolicyState): object {
  const { engine } = configuration;
  return {
    engine: engineVersion,
    threads: engine.threads,
    device: engine.device,
    // Then the results may be those of the CPU.
    ...(engine.allowFallback && engine.device !== 'cpu' ? { allowFallback: true } : {}),
    model: model.digest,
    adapter: adapter?.sha256 ?? null,
    // The adapter's scale is no part of its bytes.
    lora: adapter ? trainedPart(configuration) : null,
  };
}

/** The policy as files on this machine: model folder and, if it has one, a PEFT folder. */
export async function localPolicy(
  dependencies: ActivityDependencies,
  configuration: Configuration,
  policy: PolicyState,
): Promise<PolicyWeights> {
  const model = await localModel(dependencies, policy.model);
  if (!policy.adapter) return model;
  return { ...model, adapterPath: await localAdapter(dependencies, configuration, policy.adapter) };
}

async function localModel(dependencies: ActivityDependencies, ref: ArtifactRef): Promise<PolicyWeights> {
  const manifest = await readJson<ModelManifest>(dependencies.store, ref);
  const folder = join(dependencies.localPath, 'models', manifest.digest);
  for (const { path, artifact } of manifest.files) await keepLocal(dependencies.store, artifact, join(folder, path));
  return { modelPath: manifest.entry === '.' ? folder : join(folder, manifest.entry), modelDigest: manifest.digest };
}

/** A PEFT folder with the adapter's tensors (or one with all trained weights); its configuration follows from the run's. */
async function localAdapter(
  { store, scratchPath }: ActivityDependencies,
  configuration: Configuration,
  adapter: ArtifactRef,
): Promise<string> {
  const folder = join(scratchPath, 'adapters', adapter.sha256);
  await mkdir(folder, { recursive: true });
  const configFile = join(folder, 'adapter_config.json');
  const temporary = `${configFile}.${process.pid}`;
  await writeFile(temporary, JSON.stringify(adapterConfiguration(configuration)));
  await rename(temporary, configFile);
  await keepLocal(store, adapter, join(folder, 'adapter_model.safetensors'));
  return folder;
}

/** The fields of adapter_config.json that decide what the adapter computes. */
function adapterConfiguration({ trained, lora, model }: Configuration): object {
  if (trained === 'all') return ALL_WEIGHTS_CONFIG;
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: model.source,
    r: lora.rank,
    lora_alpha: lora.alpha,
    lora_dropout: 0,
    bias: 'none',
    target_modules: lora.targets,
    use_rslora: lora.rankStabilized,
    use_dora: false,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    rank_pattern: {},
    alpha_pattern: {},
    modules_to_save: null,
  };
}

/** Adapters of past iterations would fill the disk: all but the newest few go. */
export async function forgetAdapters({ scratchPath }: ActivityDependencies, keep: readonly string[]): Promise<void> {
  const folder = join(scratchPath, 'adapters');
  for (const name of await readdir(folder).catch(() => [])) {
    if (!keep.includes(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

function remember(key: string, value: unknown): void {
  parsed.set(key, value);
  if (parsed.size > mostParsed) parsed.delete(parsed.keys().next().value!);
}
