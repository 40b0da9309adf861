/** A valid model folder of a few hundred numbers, to change one thing of. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configJson } from '../../engine/formats/configJson.ts';
import { writeSafetensors } from '../../engine/formats/safetensors.ts';
import type { DecoderConfig } from '../../engine/model/config.ts';
import { expectedTensors } from '../../engine/model/weights.ts';

export const tinyConfig: DecoderConfig = {
  architecture: 'llama',
  hiddenSize: 8,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  intermediateSize: 6,
  vocabularySize: 5,
  contextLength: 32,
  ropeTheta: 10_000,
  rmsNormEpsilon: 1e-6,
  tiedEmbeddings: true,
  attentionBias: false,
  queryKeyNorm: false,
  bosToken: 0,
  eosTokens: [1],
};

export const tinyTokenizer = {
  version: '1.0',
  added_tokens: [
    { id: 0, content: '<s>', special: true, normalized: false },
    { id: 1, content: '</s>', special: true, normalized: false },
  ] as unknown,
  normalizer: null as unknown,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true, trim_offsets: true } as unknown,
  post_processor: null as unknown,
  decoder: { type: 'ByteLevel', add_prefix_space: false, use_regex: true, trim_offsets: true } as unknown,
  model: { type: 'BPE', vocab: { '<s>': 0, '</s>': 1, a: 2, b: 3, ab: 4 }, merges: ['a b'] } as unknown,
};

export const tinyTemplate = "{% for m in messages %}{{ '<s>' + m.content + '</s>' }}{% endfor %}";

export interface FolderChanges {
  config?: (config: Record<string, unknown>) => unknown;
  /** Tensors of model.safetensors by name, all zeros. */
  tensors?: (tensors: Map<string, Float32Array>, shapes: Map<string, number[]>) => void;
  tokenizer?: (tokenizer: typeof tinyTokenizer) => unknown;
  template?: string;
  /** Whole files in place of, or beside, those of the model; null = left out. */
  files?: Record<string, string | Uint8Array | null>;
}

export async function writeTinyFolder(folder: string, changes: FolderChanges = {}): Promise<string> {
  const path = join(folder, 'model');
  await mkdir(path);
  const shapes = expectedTensors(tinyConfig);
  const tensors = new Map([...shapes].map(([name, shape]) => [name, new Float32Array(sizeOf(shape))]));
  changes.tensors?.(tensors, shapes);
  await writeSafetensors(
    join(path, 'model.safetensors'),
    [...tensors].map(([name, values]) => ({ name, shape: shapes.get(name)!, data: values })),
  );
  const config = configJson(tinyConfig);
  const tokenizer = structuredClone(tinyTokenizer);
  const files: Record<string, string | Uint8Array | null> = {
    'config.json': JSON.stringify(changes.config?.(config) ?? config),
    'tokenizer.json': JSON.stringify(changes.tokenizer?.(tokenizer) ?? tokenizer),
    'chat_template.jinja': changes.template ?? tinyTemplate,
    ...changes.files,
  };
  for (const [name, content] of Object.entries(files)) if (content !== null) await writeFile(join(path, name), content);
  return path;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
