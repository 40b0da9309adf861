import type { ExternalData, Graph, Value } from '../graph/builder.ts';
import { productOf, quotientOf } from '../graph/dimensions.ts';
import type { Shape } from '../graph/dimensions.ts';
import * as op from '../graph/operators.ts';
import type { DecoderConfig } from './config.ts';
import { expectedTensors } from './weights.ts';

/**
 * The forward pass of a Llama-family decoder in blocks: Llama, SmolLM, Mistral, Qwen2, Qwen3. Training runs whole sequences, the sampler new tokens
 * against a cache; they differ in the `Attend` they bring and share the rest.
 * Reference: transformers' modeling_llama.py, modeling_mistral.py, modeling_qwen2.py, modeling_qwen3.py.
 */

/** The model's tensors in a graph, by Hugging Face name; Linear weights are [out, in]. */
export type DecoderWeights = ReadonlyMap<string, Value>;

/** The low-rank update of one projection: y = W x + scale * B (A x), A [rank, in], B [out, rank]. */
export interface LoraPair {
  a: Value;
  b: Value;
  scale: number;
}

/** Pairs by module name, e.g. `model.layers.0.self_attn.q_proj`. */
export type LoraPairs = ReadonlyMap<string, LoraPair>;

/** Rotary position inputs: positions int64 [batch, sequence], or [1] = position of the first token; cos and sin [positions, headDim / 2]. */
export interface Rotary {
  positions: Value;
  cos: Value;
  sin: Value;
}

/**
 * Attention of a layer, rotary embedding included: query [batch, sequence, heads, headDim], key and value [batch, sequence, kvHeads, headDim] to
 * [batch, sequence, heads * headDim].
 */
export type Attention = (layer: number, query: Value, key: Value, value: Value) => Value;

/**
 * Attention proper: query [batch, heads, sequence, headDim], key and value [batch, kvHeads, sequence, headDim], all after rotary embedding,
 * to [batch, heads, sequence, headDim].
 */
export type Attend = (layer: number, query: Value, key: Value, value: Value) => Value;

export interface DecoderBlocks {
  config: DecoderConfig;
  weights: DecoderWeights;
  attention: Attention;
  lora?: LoraPairs;
  /** Matrices in 8 bits, by the name of the weight whose place they take. */
  eightBit?: EightBitMatrices;
}

/** By Hugging Face name. */
export type EightBitMatrices = ReadonlyMap<string, op.EightBitMatrix>;

/** Declares every tensor that the configuration needs as an external initializer. */
export function declareWeights(
  graph: Graph,
  config: DecoderConfig,
  locate: (name: string) => ExternalData,
): DecoderWeights {
  return new Map(
    [...expectedTensors(config)].map(([name, shape]) => [name, graph.weight(name, 'float32', shape, locate(name))]),
  );
}

/** Declares every tensor as an input of the graph, under its name: weights that training changes. */
export function declareTrainedWeights(graph: Graph, config: DecoderConfig): DecoderWeights {
  return new Map([...expectedTensors(config)].map(([name, shape]) => [name, graph.input(name, 'float32', shape)]));
}

/** Token ids [batch, sequence] to [batch, sequence, hidden]. */
export function embed(weights: DecoderWeights, tokens: Value): Value {
  return op.gather(weightOf(weights, 'model.embed_tokens.weight'), tokens);
}

/** Name of the output matrix [vocabulary, hidden]: the embedding if tied. */
export const headName = (config: DecoderConfig) =>
  config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';

/** The output matrix. */
export function outputHead(config: DecoderConfig, weights: DecoderWeights): Value {
  return weightOf(weights, headName(config));
}

/**
 * All layers and the final norm: [batch, sequence, hidden] to the same, or to [places, hidden] where `places` (int64, row * sequence + token) says which
 * positions are wanted. Behind its attention the last layer then computes these only.
 */
export function decoderLayers(blocks: DecoderBlocks, embedded: Value, places?: Value): Value {
  const last = blocks.config.layers - 1;
  let x = embedded;
  for (let layer = 0; layer <= last; layer++) x = decoderLayer(blocks, layer, x, layer === last ? places : undefined);
  return norm(blocks, 'model.norm', x);
}

/** One layer: x + attention(norm(x)), then x + mlp(norm(x)), the latter at `places` only where they are given. */
export function decoderLayer(blocks: DecoderBlocks, layer: number, x: Value, places?: Value): Value {
  const { config } = blocks;
  const prefix = `model.layers.${layer}`;
  const attention = `${prefix}.self_attn`;

  const h = norm(blocks, `${prefix}.input_layernorm`, x);
  const heads = (projection: string, count: number, headNorm?: string) => {
    const projected = linear(blocks, `${attention}.${projection}`, h);
    const split = op.reshape(projected, [...h.shape.slice(0, 2), count, config.headDim]);
    return headNorm && config.queryKeyNorm ? norm(blocks, `${attention}.${headNorm}`, split) : split;
  };
  const query = heads('q_proj', config.heads, 'q_norm');
  const key = heads('k_proj', config.kvHeads, 'k_norm');
  const value = heads('v_proj', config.kvHeads);
  const joined = blocks.attention(layer, query, key, value);
  const wanted = (all: Value) => (places ? positionsAt(all, places) : all);
  const afterAttention = op.add(wanted(x), linear(blocks, `${attention}.o_proj`, wanted(joined)));

  const m = norm(blocks, `${prefix}.post_attention_layernorm`, afterAttention);
  const gate = linear(blocks, `${prefix}.mlp.gate_proj`, m);
  const up = linear(blocks, `${prefix}.mlp.up_proj`, m);
  return op.add(
    afterAttention,
    linear(blocks, `${prefix}.mlp.down_proj`, op.recompute(op.mul(op.recompute(op.silu(gate)), up))),
  );
}

/** [batch, sequence, size] to [places, size]. */
function positionsAt(x: Value, places: Value): Value {
  const [batch, sequence, size] = x.shape;
  return op.gather(op.reshape(x, [productOf([batch!, sequence!]), size!]), places);
}

/** Turns queries and keys by their positions, and lets rows of one length attend. */
export function rotated(rotary: Rotary, attend: Attend): Attention {
  const turned = (x: Value) => op.rotaryEmbedding(headsFirst(x), rotary.positions, rotary.cos, rotary.sin);
  return (layer, query, key, value) => positionsFirst(attend(layer, turned(query), turned(key), headsFirst(value)));
}

/** [batch, sequence, heads, headDim] to [batch, heads, sequence, headDim]. */
export const headsFirst = (x: Value) => op.transpose(x, [0, 2, 1, 3]);

/** [batch, heads, sequence, headDim] to [batch, sequence, heads * headDim]. */
export function positionsFirst(x: Value): Value {
  const [batch, heads, sequence, size] = x.shape;
  return op.reshape(op.transpose(x, [0, 2, 1, 3]), [batch!, sequence!, productOf([heads!, size!])]);
}

/** x W' + bias + scale (x A') B', whichever of them the module has. */
export function linear(
  { weights, lora, eightBit }: Pick<DecoderBlocks, 'weights' | 'lora' | 'eightBit'>,
  module: string,
  x: Value,
): Value {
  const matrix = eightBit?.get(`${module}.weight`);
  let y = matrix ? op.matmul8Bit(x, matrix) : op.matmul(x, weightOf(weights, `${module}.weight`), { transB: true });
  const bias = weights.get(`${module}.bias`);
  if (bias) y = op.add(y, bias);
  const pair = lora?.get(module);
  if (!pair) return y;
  return op.add(y, op.matmul(op.matmul(x, pair.a, { transB: true }), pair.b, { transB: true, alpha: pair.scale }));
}

function norm({ config, weights }: DecoderBlocks, name: string, x: Value): Value {
  return op.recompute(op.rmsNorm(x, weightOf(weights, `${name}.weight`), config.rmsNormEpsilon).normalized);
}

function weightOf(weights: DecoderWeights, name: string): Value {
  const value = weights.get(name);
  if (!value) throw new Error(`the decoder's graph has no weight '${name}'`);
  return value;
}

/** Query heads grouped by the key/value head they share: [batch, heads, sequence, d] -> [batch, kvHeads, group * sequence, d], so that K and V need no repeat. */
export function groupQueries(config: DecoderConfig, query: Value): Value {
  const [batch, heads, sequence, size] = query.shape;
  const rows =
    typeof sequence === 'number'
      ? (config.heads / config.kvHeads) * sequence
      : `${config.heads / config.kvHeads}*${sequence}`;
  if (quotientOf(heads!, config.kvHeads) === undefined)
    throw new Error(`${config.heads} heads do not share ${config.kvHeads} key heads evenly`);
  return op.reshape(query, [batch!, config.kvHeads, config.heads === config.kvHeads ? sequence! : rows, size!]);
}

/**
 * softmax(scale Q K' + mask) V of each head: query [batch, heads, sequence, headDim], key and value [batch, kvHeads, keys, headDim], to the shape of
 * the query. `mask` is broadcast to the scores [batch, heads, sequence, keys], or to `scores`, another shape of the same elements, keys last.
 *
 * Its gradient is written by hand for two reasons. Probabilities are computed again, not kept. And gradients of keys and values are products over
 * the sequence of each query head, added up afterwards: one product over all heads of a group would be cut at places that depend on the padding,
 * and so would its bits.
 */
export function maskedAttention(
  config: DecoderConfig,
  { query, key, value, mask, scores }: { query: Value; key: Value; value: Value; mask: Value; scores?: Shape },
): Value {
  const alpha = 1 / Math.sqrt(config.headDim);
  const group = config.heads / config.kvHeads;
  const [batch, heads, sequence, size] = query.shape;
  const keys = key.shape[2]!;
  const byHead = [batch!, heads!, sequence!, keys];
  const grouped = (perHead: Value) => groupQueries(config, perHead);
  const probabilitiesOf = () => {
    const products = op.matmul(grouped(query), key, { transB: true, alpha });
    return op.reshape(op.softmax(op.add(op.reshape(products, scores ?? byHead), mask)), byHead);
  };
  const sumOverGroup = (perHead: Value) =>
    group === 1 ? perHead : op.reduceSum(op.reshape(perHead, [batch!, config.kvHeads, group, keys, size!]), [2]);

  const context = op.reshape(op.matmul(grouped(probabilitiesOf()), value), query.shape);
  query.graph.insertion.composite('MaskedAttention', [query, key, value], [context], ([gradient]) => {
    if (!gradient) return [undefined, undefined, undefined];
    const probabilities = probabilitiesOf();
    const ofProbabilities = op.reshape(op.matmul(grouped(gradient), value, { transB: true }), byHead);
    const weighted = op.mul(ofProbabilities, probabilities);
    const ofScores = op.sub(weighted, op.mul(probabilities, op.reduceSum(weighted, [-1], true)));
    return [
      op.reshape(op.matmul(grouped(ofScores), key, { alpha }), query.shape),
      sumOverGroup(op.matmul(ofScores, query, { transA: true, alpha })),
      sumOverGroup(op.matmul(probabilities, gradient, { transA: true })),
    ];
  });
  return context;
}

/** Added to the score of a key that a query does not see. */
export const MASKED = -1e30;

/** The mask of tokens that attend to each other: causal, limited to the sliding window. [sequence, sequence], row = query. */
export function attentionMask(config: DecoderConfig, sequence: number): Float32Array {
  const mask = new Float32Array(sequence * sequence);
  const window = config.slidingWindow ?? Infinity;
  for (let query = 0; query < sequence; query++) {
    for (let key = 0; key < sequence; key++) {
      if (key > query || query - key >= window) mask[query * sequence + key] = MASKED;
    }
  }
  return mask;
}

/** cos and sin of positions 0 .. length - 1, [length, headDim / 2]; Llama-3.1 scaling as in transformers' modeling_rope_utils.py. */
export function rotaryTables(config: DecoderConfig, length: number): { cos: Float32Array; sin: Float32Array } {
  const half = config.headDim / 2;
  const cos = new Float32Array(length * half);
  const sin = new Float32Array(length * half);
  for (let i = 0; i < half; i++) {
    const frequency = scaledFrequency(config, config.ropeTheta ** (-(2 * i) / config.headDim));
    for (let position = 0; position < length; position++) {
      cos[position * half + i] = Math.cos(position * frequency);
      sin[position * half + i] = Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}

function scaledFrequency({ ropeScaling }: DecoderConfig, frequency: number): number {
  if (!ropeScaling) return frequency;
  const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = ropeScaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < originalContextLength / highFreqFactor) return frequency;
  if (wavelength > originalContextLength / lowFreqFactor) return frequency / factor;
  const smooth = (originalContextLength / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}
