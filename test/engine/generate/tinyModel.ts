import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configJson } from '../../../engine/formats/configJson.ts';
import { writeSafetensors } from '../../../engine/formats/safetensors.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';
import { expectedTensors } from '../../../engine/model/weights.ts';

export const TINY_CONFIG: DecoderConfig = {
  architecture: 'llama',
  hiddenSize: 48,
  layers: 2,
  heads: 6,
  kvHeads: 2,
  headDim: 8,
  intermediateSize: 80,
  vocabularySize: 300,
  contextLength: 4096,
  ropeTheta: 10000,
  rmsNormEpsilon: 1e-5,
  tiedEmbeddings: true,
  attentionBias: false,
  queryKeyNorm: false,
  eosTokens: [2],
};

/** A few layers in the shape of SmolLM2-135M. */
export const SMOLLM2_CONFIG: DecoderConfig = {
  ...TINY_CONFIG,
  hiddenSize: 576,
  layers: 2,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  intermediateSize: 1536,
  vocabularySize: 49152,
  contextLength: 8192,
  ropeTheta: 100000,
};

/**
 * Writes a Hugging Face folder with random weights; the same bytes for the same configuration. Norms are near 1, other tensors of the usual size.
 * The tokenizer is a stand-in that can only be copied.
 */
export async function writeRandomModel(folder: string, config: DecoderConfig): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const random = mulberry32(7);
  const tensors = [...expectedTensors(config)].map(([name, shape]) => {
    const size = shape.reduce((product, dimension) => product * dimension);
    const [offset, spread] = name.includes('norm') ? [1, 0.1] : [0, 2 / Math.sqrt(shape.at(-1)!)];
    return { name, shape, data: Float32Array.from({ length: size }, () => offset + spread * (random() * 2 - 1)) };
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configJson(config)));
  const model = { type: 'BPE', vocab: { a: 0, b: 1, '</s>': 2 }, merges: [] };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ version: '1.0', added_tokens: [], model }));
  return folder;
}

/** Small deterministic generator of numbers in [0, 1). */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
