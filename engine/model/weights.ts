/** Opens a decoder on disk: a Hugging Face folder (one or several safetensors files) or one GGUF file. */
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseConfigJson } from '../formats/configJson.ts';
import { huggingFaceName, parseGgufConfig, undoRowPermutation } from '../formats/ggufDecoder.ts';
import { readGguf } from '../formats/gguf.ts';
import { readSafetensors } from '../formats/safetensors.ts';
import type { SafetensorsFile } from '../formats/safetensors.ts';
import { EngineError } from '../policy.ts';
import { architectureNamed } from './architectures/architectures.ts';
import type { DecoderConfig, ModelFiles } from './config.ts';

/**
 * Opens a model and checks that every tensor its configuration needs is there in the right shape, and none that this engine would ignore.
 * Weights are read when `readTensor` asks for them.
 * @throws EngineError 'invalidInput' naming the file, the tensor or feature, and the remedy.
 */
export async function openModel(path: string): Promise<ModelFiles> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats) {
    throw new EngineError(
      'invalidInput',
      `${path}: there is no such file or folder. Give a Hugging Face folder or a .gguf file.`,
    );
  }
  return stats.isDirectory() ? openFolder(path) : openGguf(path);
}

/** Hugging Face name -> shape of every tensor that a decoder of this configuration has. */
export function expectedTensors(config: DecoderConfig): Map<string, number[]> {
  const { hiddenSize, intermediateSize, vocabularySize, headDim } = config;
  const queryRows = config.heads * headDim;
  const keyRows = config.kvHeads * headDim;
  const tensors = new Map<string, number[]>([['model.embed_tokens.weight', [vocabularySize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, shape: number[]) => tensors.set(`model.layers.${layer}.${name}`, shape);
    add('input_layernorm.weight', [hiddenSize]);
    add('self_attn.q_proj.weight', [queryRows, hiddenSize]);
    add('self_attn.k_proj.weight', [keyRows, hiddenSize]);
    add('self_attn.v_proj.weight', [keyRows, hiddenSize]);
    add('self_attn.o_proj.weight', [hiddenSize, queryRows]);
    if (config.attentionBias) {
      add('self_attn.q_proj.bias', [queryRows]);
      add('self_attn.k_proj.bias', [keyRows]);
      add('self_attn.v_proj.bias', [keyRows]);
    }
    if (config.queryKeyNorm) {
      add('self_attn.q_norm.weight', [headDim]);
      add('self_attn.k_norm.weight', [headDim]);
    }
    add('post_attention_layernorm.weight', [hiddenSize]);
    add('mlp.gate_proj.weight', [intermediateSize, hiddenSize]);
    add('mlp.up_proj.weight', [intermediateSize, hiddenSize]);
    add('mlp.down_proj.weight', [hiddenSize, intermediateSize]);
  }
  tensors.set('model.norm.weight', [hiddenSize]);
  if (!config.tiedEmbeddings) tensors.set('lm_head.weight', [vocabularySize, hiddenSize]);
  return tensors;
}

async function openFolder(folder: string): Promise<ModelFiles> {
  const configPath = join(folder, 'config.json');
  const configText = await readJson(configPath);
  if (!configText)
    throw new EngineError(
      'invalidInput',
      `${folder}: has no config.json. Give the folder of a whole Hugging Face model.`,
    );
  const generation = await readJson(join(folder, 'generation_config.json'));
  const { tensors: stored, close } = await openShards(folder);
  try {
    const config = parseConfigJson(configPath, configText, generation, stored.has('lm_head.weight'));
    const shapes = new Map([...stored].map(([name, { file }]) => [name, file.tensors.get(name)?.shape ?? []]));
    const tensors = checkTensors(folder, config, shapes);
    const readTensor = async (name: string) => {
      const file = tensors.has(name) ? stored.get(name)?.file : undefined;
      if (!file) throw missingTensor(folder, name);
      return requireFinite(file.path, name, await file.readFloat32(name));
    };
    return { config, tensors, readTensor, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openGguf(path: string): Promise<ModelFiles> {
  const gguf = await readGguf(path);
  try {
    const config = await parseGgufConfig(gguf);
    const ggufNames = new Map<string, string>();
    const shapes = new Map<string, number[]>();
    for (const [ggufName, { shape }] of gguf.tensors) {
      if (ggufName === 'rope_freqs.weight') continue; // part of the configuration
      const name = huggingFaceName(ggufName) ?? ggufName;
      ggufNames.set(name, ggufName);
      shapes.set(name, shape);
    }
    const tensors = checkTensors(path, config, shapes);
    const readTensor = async (name: string) => {
      const ggufName = tensors.has(name) ? ggufNames.get(name) : undefined;
      if (ggufName === undefined) throw missingTensor(path, name);
      const values = requireFinite(path, ggufName, await gguf.readFloat32(ggufName));
      const { gguf: stored } = architectureNamed(config.architecture);
      const projection = stored?.alternatingRows ? /\.([qk])_proj\./.exec(name)?.[1] : undefined;
      if (!projection) return values;
      return undoRowPermutation(values, projection === 'q' ? config.heads : config.kvHeads, config.headDim);
    };
    return { config, tensors, readTensor, close: () => gguf.close() };
  } catch (error) {
    await gguf.close();
    throw error;
  }
}

/** The tensors that the configuration needs; anything missing, misshapen or left over is an error. */
function checkTensors(path: string, config: DecoderConfig, shapes: Map<string, number[]>): Map<string, number[]> {
  // A number of layers out of a damaged file must not become a list of so many tensors.
  const lacking = `model.layers.${config.layers - 1}.input_layernorm.weight`;
  if (!shapes.has(lacking)) throw missingTensor(path, lacking);
  if (config.layers > shapes.size) throw missingTensor(path, `model.layers.${shapes.size}.input_layernorm.weight`);
  const expected = expectedTensors(config);
  for (const [name, shape] of expected) {
    const stored = shapes.get(name);
    if (!stored) throw missingTensor(path, name);
    if (stored.join() !== shape.join()) {
      throw new EngineError(
        'invalidInput',
        `${path}: tensor "${name}" has shape [${stored.join(', ')}], the configuration needs [${shape.join(', ')}]. Configuration and weights are of different models.`,
      );
    }
  }
  for (const name of shapes.keys()) {
    const harmless = name.endsWith('.rotary_emb.inv_freq') || (name === 'lm_head.weight' && config.tiedEmbeddings);
    if (!expected.has(name) && !harmless) {
      throw new EngineError(
        'invalidInput',
        `${path}: tensor "${name}" belongs to a feature that is not supported for ${config.architecture} models.`,
      );
    }
  }
  return expected;
}

/** NaN in one weight makes NaN of every logit, long after the file that it came from. */
function requireFinite<T extends Float32Array>(path: string, name: string, values: T): T {
  const index = firstNotFinite(values);
  if (index < 0) return values;
  throw new EngineError(
    'invalidInput',
    `${path}: tensor "${name}" holds ${values[index]} at element ${index}, which is not finite. The file is damaged, or its training diverged: use another copy.`,
  );
}

/** A plain loop: it takes a tenth of the time of findIndex, and runs over every weight of a model. */
export function firstNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}

/** Opens model.safetensors, or every file named by model.safetensors.index.json. */
async function openShards(folder: string) {
  const indexPath = join(folder, 'model.safetensors.index.json');
  const index = await readJson(indexPath);
  const files = new Map<string, SafetensorsFile>();
  const close = async () => {
    for (const file of files.values()) await file.close();
  };
  try {
    const tensors = new Map<string, { file: SafetensorsFile }>();
    if (!index) {
      const file = await readSafetensors(join(folder, 'model.safetensors'));
      files.set('model.safetensors', file);
      for (const name of file.tensors.keys()) tensors.set(name, { file });
      return { tensors, close };
    }
    for (const [name, fileName] of Object.entries(checkWeightMap(indexPath, index))) {
      const file = files.get(fileName) ?? (await readSafetensors(join(folder, fileName)));
      files.set(fileName, file);
      if (!file.tensors.has(name)) throw missingTensor(file.path, name);
      tensors.set(name, { file });
    }
    return { tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Shards lie beside the index: a name with a folder in it could point anywhere. */
function checkWeightMap(indexPath: string, index: Record<string, unknown>): Record<string, string> {
  const map = index['weight_map'];
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new EngineError('invalidInput', `${indexPath}: has no "weight_map". Download it again.`);
  }
  for (const [name, file] of Object.entries(map)) {
    const plain =
      typeof file === 'string' && file === basename(file) && !file.includes('\\') && /^[^.].*\.safetensors$/.test(file);
    if (!plain) {
      throw new EngineError(
        'invalidInput',
        `${indexPath}: tensor "${name.slice(0, 200)}" is said to lie in ${JSON.stringify(file).slice(0, 200)}; only .safetensors files in the same folder are read.`,
      );
    }
  }
  return map as Record<string, string>;
}

/** An index of 100,000 tensors has 10 MB. */
const longestJsonBytes = 64 * 2 ** 20;

async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  if (size > longestJsonBytes)
    throw new EngineError('invalidInput', `${path}: has ${size} bytes, more than any such file. Download it again.`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EngineError('invalidInput', `${path}: can't be read (${(error as Error).message}). Check the file.`, {
      cause: error,
    });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    throw new EngineError('invalidInput', `${path}: is not JSON (${(cause as Error).message}). Download it again.`, {
      cause,
    });
  }
  throw new EngineError('invalidInput', `${path}: is not a JSON object. Download it again.`);
}

const missingTensor = (path: string, name: string) =>
  new EngineError(
    'invalidInput',
    `${path}: has no tensor "${name.slice(0, 200)}". The model is incomplete or of another architecture: download it again.`,
  );
