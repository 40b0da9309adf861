/** A decoder in a GGUF file: its configuration, its tensors' Hugging Face names, and llama.cpp's reordering of q and k undone. */
import { EngineError } from '../policy.ts';
import type { Architecture } from '../model/architectures/architecture.ts';
import { ARCHITECTURES, findArchitecture } from '../model/architectures/architectures.ts';
import type { DecoderConfig } from '../model/config.ts';
import type { GgufFile, GgufValue } from './gguf.ts';

const architectures = ARCHITECTURES.filter(({ gguf }: Architecture) => gguf);
/** Far above any real model's sizes. */
const largestCount = 2 ** 28;

/**
 * The shape of the decoder in a GGUF file. Mistral models are stored as `llama` (without their sliding window, which GGUF does not record).
 * @throws EngineError 'invalidInput' naming the key and what is supported.
 */
export async function parseGgufConfig(gguf: GgufFile): Promise<DecoderConfig> {
  const reject = (what: string) => new EngineError('invalidInput', `${gguf.path}: ${what.slice(0, 600)}`);
  const architecture = findArchitecture(architectures, gguf.metadata.get('general.architecture'), 'architecture');
  if (typeof architecture === 'string') throw reject(architecture);
  const { name } = architecture;
  const get = (key: string): GgufValue | undefined => gguf.metadata.get(`${name}.${key}`);
  const number = (key: string, fallback?: number) => {
    const stored = get(key);
    // Some converters write one number a layer; only a shape that all layers share is supported.
    const value = (Array.isArray(stored) && new Set(stored).size === 1 ? stored[0] : stored) ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      throw reject(`metadata "${name}.${key}" must be a positive number, not ${JSON.stringify(value)?.slice(0, 80)}.`);
    }
    return value;
  };
  const count = (key: string, fallback?: number) => {
    const value = number(key, fallback);
    if (!Number.isSafeInteger(value) || value > largestCount)
      throw reject(`metadata "${name}.${key}" is ${value}, which no model has. Download it again.`);
    return value;
  };
  if (Number(get('expert_count') ?? 0) > 0) throw reject('mixtures of experts are not supported. Use a dense model.');
  const scalingType = get('rope.scaling.type') ?? 'none';
  if (scalingType !== 'none')
    throw reject(`rotary scaling ${JSON.stringify(scalingType)} is not supported in GGUF files.`);
  const embedding = gguf.tensors.get('token_embd.weight');
  if (!embedding) throw reject('has no tensor "token_embd.weight". The file is incomplete: download it again.');
  const heads = count('attention.head_count');
  const hiddenSize = count('embedding_length');
  const headDim = count('attention.key_length', number('rope.dimension_count', hiddenSize / heads));
  const kvHeads = count('attention.head_count_kv', heads);
  if (heads % kvHeads !== 0) throw reject(`${heads} attention heads can't share ${kvHeads} key-value heads.`);
  if (headDim % 2 !== 0) throw reject(`a head of ${headDim} numbers is odd; rotary positions need pairs.`);
  if (number('rope.dimension_count', headDim) !== headDim)
    throw reject('rotary positions on a part of the head are not supported.');
  const ropeTheta = shortestDecimal(number('rope.freq_base', 10_000));
  const ropeScaling = await recogniseRopeScaling(gguf, ropeTheta, headDim, reject);
  const token = (key: string) => {
    const value = gguf.metadata.get(`tokenizer.ggml.${key}`);
    return typeof value === 'number' ? value : undefined;
  };
  const bosToken = token('bos_token_id');
  const padToken = token('padding_token_id');
  return {
    architecture: name,
    hiddenSize,
    layers: count('block_count'),
    heads,
    kvHeads,
    headDim,
    intermediateSize: count('feed_forward_length'),
    vocabularySize: embedding.shape[0] ?? 0,
    contextLength: count('context_length'),
    ropeTheta,
    ...(ropeScaling ? { ropeScaling } : {}),
    rmsNormEpsilon: shortestDecimal(number('attention.layer_norm_rms_epsilon')),
    tiedEmbeddings: !gguf.tensors.has('output.weight'),
    attentionBias: architecture.attentionBias,
    queryKeyNorm: architecture.queryKeyNorm,
    ...(bosToken === undefined ? {} : { bosToken }),
    eosTokens: [...new Set(['eos_token_id', 'eot_token_id'].map(token).filter((id) => id !== undefined))],
    ...(padToken === undefined ? {} : { padToken }),
  };
}

/** GGUF keeps these numbers as float32: 1e-5 comes out as 9.999999747e-6. The shortest decimal of the same float32 is what the model's author wrote. */
function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === Math.fround(value)) return decimal;
  }
  return value;
}

const layerNames: Record<string, string> = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
const globalNames: Record<string, string> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

/** The Hugging Face name of a GGUF tensor; undefined if this engine knows none. */
export function huggingFaceName(ggufName: string): string | undefined {
  const layer = /^blk\.(\d+)\.([a-z_]+)\.(weight|bias)$/.exec(ggufName);
  if (!layer) return Object.hasOwn(globalNames, ggufName) ? globalNames[ggufName] : undefined;
  const [, index, part, kind] = layer as unknown as [string, string, string, string];
  return Object.hasOwn(layerNames, part) ? `model.layers.${index}.${layerNames[part]}.${kind}` : undefined;
}

/**
 * Rows of q or k in Hugging Face order. llama.cpp's converter, for architecture llama only, makes the two halves of each head alternate:
 * its row 2 j + t of a head is row t d/2 + j of Hugging Face (LlamaModel.permute in convert_hf_to_gguf.py).
 */
export function undoRowPermutation(values: Float32Array, heads: number, headDim: number): Float32Array<ArrayBuffer> {
  const columns = values.length / (heads * headDim);
  const result = new Float32Array(values.length);
  const half = headDim / 2;
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      const from = (head * headDim + 2 * (row % half) + Math.floor(row / half)) * columns;
      result.set(values.subarray(from, from + columns), (head * headDim + row) * columns);
    }
  }
  return result;
}

/**
 * GGUF keeps Llama-3.1's scaling only as one divisor a frequency (`rope_freqs.weight`). The published models all use low 1, high 4 and 8192
 * positions: take these if they give the same divisors, else refuse rather than guess.
 */
async function recogniseRopeScaling(
  gguf: GgufFile,
  theta: number,
  headDim: number,
  reject: (what: string) => EngineError,
) {
  if (!gguf.tensors.has('rope_freqs.weight')) return undefined;
  const divisors = await gguf.readFloat32('rope_freqs.weight');
  if (divisors.every((divisor) => divisor === 1)) return undefined;
  const scaling = { factor: Math.max(...divisors), lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 };
  const expected = Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < scaling.originalContextLength / scaling.highFreqFactor) return 1;
    if (wavelength > scaling.originalContextLength / scaling.lowFreqFactor) return scaling.factor;
    const smooth =
      (scaling.originalContextLength / wavelength - scaling.lowFreqFactor) /
      (scaling.highFreqFactor - scaling.lowFreqFactor);
    return 1 / ((1 - smooth) / scaling.factor + smooth);
  });
  const same =
    divisors.length === expected.length &&
    divisors.every((divisor, i) => Math.abs(divisor - expected[i]!) < 1e-3 * divisor);
  if (!same) throw reject('its rotary scaling (rope_freqs.weight) is not that of Llama 3.1, the only one supported.');
  return scaling;
}
