/** config.json of a Hugging Face folder, as Transformers 4 (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`) write it. */
import { EngineError } from '../policy.ts';
import type { DecoderConfig } from '../model/config.ts';

type Json = Record<string, unknown>;

const architectures = ['llama', 'mistral', 'qwen2', 'qwen3'] as const;
/** Far above any real model's sizes: a vocabulary, a context, a layer. */
const largestCount = 2 ** 28;
const classNames = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
} as const;

/** Where the file has no num_key_value_heads; others have one of each query head. As in Transformers, like the head_dim 128 of Qwen3. */
const absentKeyValueHeads: Partial<Record<(typeof architectures)[number], number>> = {
  mistral: 8,
  qwen2: 32,
  qwen3: 32,
};

/**
 * The shape of the decoder that a config.json describes. `hasHead` says whether the weights hold lm_head.weight (used where tie_word_embeddings
 * is absent); `generation` is generation_config.json, whose end tokens count too.
 * @throws EngineError 'invalidInput' naming the key and what is supported.
 */
export function parseConfigJson(path: string, json: Json, generation: Json = {}, hasHead = true): DecoderConfig {
  // What a file says is quoted: it may be long.
  const reject = (what: string) => new EngineError('invalidInput', `${path}: ${what.slice(0, 600)}`);
  const architecture = architectures.find((name) => name === json['model_type']);
  if (!architecture) {
    throw reject(
      `model_type ${JSON.stringify(json['model_type'])?.slice(0, 80)} is not supported. Use one of ${architectures.join(', ')}.`,
    );
  }
  const number = (key: string, fallback?: number) => {
    const value = json[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
      throw reject(
        `"${key}" must be a positive number, not ${JSON.stringify(value)?.slice(0, 80)}. Download the file again.`,
      );
    return value;
  };
  const count = (key: string, fallback?: number) => {
    const value = number(key, fallback);
    if (!Number.isSafeInteger(value)) throw reject(`"${key}" must be a whole number, not ${value}.`);
    if (value > largestCount) throw reject(`"${key}" is ${value}, more than any model has. Download the file again.`);
    return value;
  };
  refuseUnsupported(json, reject);
  const heads = count('num_attention_heads');
  const hiddenSize = count('hidden_size');
  const kvHeads = count(
    'num_key_value_heads',
    json['num_key_value_heads'] === null ? heads : (absentKeyValueHeads[architecture] ?? heads),
  );
  const headDim = count('head_dim', architecture === 'qwen3' ? 128 : hiddenSize / heads);
  if (heads % kvHeads !== 0) throw reject(`${heads} attention heads can't share ${kvHeads} key-value heads.`);
  if (headDim % 2 !== 0) throw reject(`"head_dim" ${headDim} is odd; rotary positions need pairs.`);
  const rope = parseRope(json, reject);
  const slidingWindow = parseSlidingWindow(architecture, json, reject);
  const bosToken = tokenId(json['bos_token_id']);
  const padToken = tokenId(json['pad_token_id']);
  return {
    architecture,
    hiddenSize,
    layers: count('num_hidden_layers'),
    heads,
    kvHeads,
    headDim,
    intermediateSize: count('intermediate_size'),
    vocabularySize: count('vocab_size'),
    contextLength: count('max_position_embeddings'),
    ...rope,
    rmsNormEpsilon: number('rms_norm_eps', 1e-6),
    tiedEmbeddings: typeof json['tie_word_embeddings'] === 'boolean' ? json['tie_word_embeddings'] : !hasHead,
    attentionBias: architecture === 'qwen2',
    queryKeyNorm: architecture === 'qwen3',
    ...(slidingWindow === undefined ? {} : { slidingWindow }),
    ...(bosToken === undefined ? {} : { bosToken }),
    eosTokens: [...new Set([...tokenIds(json['eos_token_id']), ...tokenIds(generation['eos_token_id'])])],
    ...(padToken === undefined ? {} : { padToken }),
  };
}

/** config.json that Transformers 5 and 4 both read: the rotary settings stand in it under the new and the old keys, with the same values. */
export function configJson(config: DecoderConfig, dtype = 'float32'): Json {
  const scaling = config.ropeScaling && {
    rope_type: 'llama3',
    factor: config.ropeScaling.factor,
    low_freq_factor: config.ropeScaling.lowFreqFactor,
    high_freq_factor: config.ropeScaling.highFreqFactor,
    original_max_position_embeddings: config.ropeScaling.originalContextLength,
  };
  const [firstEos] = config.eosTokens;
  const qwen = config.architecture === 'qwen2' || config.architecture === 'qwen3';
  return {
    architectures: [classNames[config.architecture]],
    ...(config.architecture === 'qwen2' ? {} : { attention_bias: config.attentionBias }),
    attention_dropout: 0,
    bos_token_id: config.bosToken ?? null,
    dtype,
    eos_token_id: config.eosTokens.length > 1 ? config.eosTokens : (firstEos ?? null),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.contextLength,
    ...(config.architecture === 'llama' ? { mlp_bias: false } : {}),
    model_type: config.architecture,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    pad_token_id: config.padToken ?? null,
    rms_norm_eps: config.rmsNormEpsilon,
    rope_parameters: { rope_type: 'default', ...scaling, rope_theta: config.ropeTheta },
    rope_scaling: scaling ?? null,
    rope_theta: config.ropeTheta,
    ...(config.architecture === 'mistral' ? { sliding_window: config.slidingWindow ?? null } : {}),
    ...(qwen ? { use_sliding_window: false, sliding_window: null } : {}),
    tie_word_embeddings: config.tiedEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    vocab_size: config.vocabularySize,
  };
}

/** The text of config.json. Numbers that Transformers 4 wants as floats keep a decimal point, which JSON.stringify drops. */
export function configText(config: DecoderConfig): string {
  const text = JSON.stringify(configJson(config), null, 2);
  return `${text.replace(/("(?:factor|low_freq_factor|high_freq_factor|rope_theta|attention_dropout)": -?\d+)(?=,?\n)/g, '$1.0')}\n`;
}

type Reject = (what: string) => EngineError;

function refuseUnsupported(json: Json, reject: Reject): void {
  if (json['quantization_config']) {
    throw reject(
      'the weights are quantised ("quantization_config"), which is supported for GGUF files only. Use the unquantised model.',
    );
  }
  for (const key of ['attention_bias', 'mlp_bias']) {
    if (json[key] === true)
      throw reject(`"${key}": true is not supported (biases on q, k and v of qwen2 are). Use another model.`);
  }
  const activation = json['hidden_act'] ?? 'silu';
  if (activation !== 'silu')
    throw reject(`"hidden_act" ${JSON.stringify(activation)} is not supported; only "silu" is.`);
  const rotaryPart = json['partial_rotary_factor'] ?? 1;
  if (rotaryPart !== 1)
    throw reject(`"partial_rotary_factor" ${JSON.stringify(rotaryPart)} is not supported; only 1 is.`);
}

function parseRope(json: Json, reject: Reject): Pick<DecoderConfig, 'ropeTheta' | 'ropeScaling'> {
  const current = isRecord(json['rope_parameters']) ? json['rope_parameters'] : undefined;
  const rope = current ?? (isRecord(json['rope_scaling']) ? json['rope_scaling'] : {});
  const ropeTheta = current?.['rope_theta'] ?? json['rope_theta'] ?? 10_000;
  if (typeof ropeTheta !== 'number' || !(ropeTheta > 0) || !Number.isFinite(ropeTheta))
    throw reject(`"rope_theta" must be a positive number, not ${JSON.stringify(ropeTheta)}.`);
  const kind = rope['rope_type'] ?? rope['type'] ?? 'default';
  if (kind === 'default') return { ropeTheta };
  if (kind !== 'llama3') {
    throw reject(`rotary scaling ${JSON.stringify(kind)} is not supported; "default" and "llama3" are.`);
  }
  const factor = (key: string) => {
    const value = rope[key];
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
      throw reject(`rotary scaling "llama3" needs a positive "${key}", not ${JSON.stringify(value)}.`);
    return value;
  };
  return {
    ropeTheta,
    ropeScaling: {
      factor: factor('factor'),
      lowFreqFactor: factor('low_freq_factor'),
      highFreqFactor: factor('high_freq_factor'),
      originalContextLength: factor('original_max_position_embeddings'),
    },
  };
}

function parseSlidingWindow(
  architecture: DecoderConfig['architecture'],
  json: Json,
  reject: Reject,
): number | undefined {
  if (architecture === 'llama') return undefined;
  if (architecture === 'mistral') {
    // Transformers' default where the key is absent; null says "no window".
    const window = json['sliding_window'] === undefined ? 4096 : json['sliding_window'];
    if (window === null) return undefined;
    if (!Number.isSafeInteger(window) || (window as number) < 1)
      throw reject(`"sliding_window" must be a whole number or null, not ${JSON.stringify(window)}.`);
    return window as number;
  }
  const layerTypes = json['layer_types'];
  const windowed = Array.isArray(layerTypes) && layerTypes.includes('sliding_attention');
  if (json['use_sliding_window'] === true && (windowed || layerTypes === undefined || layerTypes === null)) {
    throw reject(
      `"use_sliding_window": true is not supported for ${architecture}. Use a model without sliding windows.`,
    );
  }
  return undefined;
}

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const tokenId = (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
const tokenIds = (value: unknown) =>
  (Array.isArray(value) ? value : [value]).map(tokenId).filter((id) => id !== undefined);
