/** config.json of a Hugging Face folder, as Transformers 4 (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`) write it. */
import { EngineError } from '../policy.ts';
import { ARCHITECTURES, architectureNamed, findArchitecture } from '../model/architectures/architectures.ts';
import type { Architecture, Reject } from '../model/architectures/architecture.ts';
import type { DecoderConfig } from '../model/config.ts';

type Json = Record<string, unknown>;

/** Far above any real model's sizes: a vocabulary, a context, a layer. */
const largestCount = 2 ** 28;
/**
 * The shape of the decoder that a config.json describes. `hasHead` says whether the weights hold lm_head.weight (used where tie_word_embeddings
 * is absent); `generation` is generation_config.json, whose end tokens count too.
 * @throws EngineError 'invalidInput' naming the key and what is supported.
 */
export function parseConfigJson(path: string, json: Json, generation: Json = {}, hasHead = true): DecoderConfig {
  // What a file says is quoted: it may be long.
  const reject = (what: string) => new EngineError('invalidInput', `${path}: ${what.slice(0, 600)}`);
  const architecture = findArchitecture(ARCHITECTURES, json['model_type'], 'model_type');
  if (typeof architecture === 'string') throw reject(architecture);
  const absent: Architecture['absent'] = architecture.absent;
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
    json['num_key_value_heads'] === null ? heads : (absent?.keyValueHeads ?? heads),
  );
  const headDim = count('head_dim', absent?.headDim ?? hiddenSize / heads);
  if (heads % kvHeads !== 0) throw reject(`${heads} attention heads can't share ${kvHeads} key-value heads.`);
  if (headDim % 2 !== 0) throw reject(`"head_dim" ${headDim} is odd; rotary positions need pairs.`);
  const rope = parseRope(json, reject);
  const slidingWindow = architecture.slidingWindow(json, reject);
  const bosToken = tokenId(json['bos_token_id']);
  const padToken = tokenId(json['pad_token_id']);
  return {
    architecture: architecture.name,
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
    attentionBias: architecture.attentionBias,
    queryKeyNorm: architecture.queryKeyNorm,
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
  const { className, configKeys } = architectureNamed(config.architecture);
  const own = configKeys(config);
  return {
    architectures: [className],
    ...own.attention,
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
    ...own.feedForward,
    model_type: config.architecture,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    pad_token_id: config.padToken ?? null,
    rms_norm_eps: config.rmsNormEpsilon,
    rope_parameters: { rope_type: 'default', ...scaling, rope_theta: config.ropeTheta },
    rope_scaling: scaling ?? null,
    rope_theta: config.ropeTheta,
    ...own.window,
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

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const tokenId = (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
const tokenIds = (value: unknown) =>
  (Array.isArray(value) ? value : [value]).map(tokenId).filter((id) => id !== undefined);
