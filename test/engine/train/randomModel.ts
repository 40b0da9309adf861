import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configJson } from '../../../engine/formats/configJson.ts';
import { writeSafetensors } from '../../../engine/formats/safetensors.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';
import { expectedTensors } from '../../../engine/model/weights.ts';

/** Two layers as wide as SmolLM2-135M's, so that products are cut up as in the real model, with a small vocabulary. */
export const TWO_WIDE_LAYERS: DecoderConfig = {
  architecture: 'llama',
  hiddenSize: 576,
  layers: 2,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  intermediateSize: 1536,
  vocabularySize: 1024,
  contextLength: 1024,
  ropeTheta: 100000,
  rmsNormEpsilon: 1e-5,
  tiedEmbeddings: true,
  attentionBias: false,
  queryKeyNorm: false,
  eosTokens: [2],
};

/** A small one for tests of everything else. */
export const TINY: DecoderConfig = {
  ...TWO_WIDE_LAYERS,
  hiddenSize: 32,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  intermediateSize: 48,
  vocabularySize: 64,
};

/** Numbers in [-1, 1) from a fixed linear congruential sequence. */
export function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

/** Writes a model with random weights in Hugging Face layout; returns its folder. */
export async function writeRandomModel(folder: string, config: DecoderConfig): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const random = pseudoRandom(7);
  const tensors = [...expectedTensors(config)].map(([name, shape]) => {
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    const scale = 2 / Math.sqrt(shape.at(-1)!);
    return {
      name,
      shape,
      data: () =>
        Float32Array.from({ length: count }, () => (shape.length === 1 ? 1 + random() / 4 : random() * scale)),
    };
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configJson(config)));
  return folder;
}
