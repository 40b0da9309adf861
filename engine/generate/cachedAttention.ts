import type { Graph, Value } from '../graph/builder.ts';
import { productOf } from '../graph/dimensions.ts';
import * as op from '../graph/operators.ts';
import type { DecoderConfig } from '../model/config.ts';
import type { Attend } from '../model/decoder.ts';

/**
 * Attention of new tokens over three stretches of keys: a prefix that several rows share, each row's own past, and the new tokens themselves.
 *
 * The graph never copies or repeats the cache: prefix and past are inputs, the keys and values of the new tokens are outputs, and the caller
 * appends them. The stretches get a softmax each; their results are joined in proportion to their sums of exponentials, as in flash attention.
 *
 * Every operator is chosen so that a row's bits depend on nothing but the row: see `PREFIX_BLOCK` and the sampler's `minimumRows`; and there is no
 * `Log` or `Exp` (a vectorised loop computes its last few elements by another formula), only `Softmax`, which treats each row alike.
 *
 * Dimensions: P prefixes, R rows behind each of them (row p R + r is behind prefix p), S new tokens, C capacity of the past, N blocks of K keys of a prefix.
 */
export interface CachedAttention {
  attend: Attend;
  /** Inputs by layer. */
  prefixKeys: Value[]; // [P, kvHeads, N, K, headDim]
  prefixValues: Value[];
  pastKeys: Value[]; // [P R, kvHeads, C, headDim]
  pastValues: Value[];
}

/** Rows of all prefixes. */
export const ROWS = productOf(['P', 'R']);

/**
 * Keys of one block of the prefix, at most. ONNX Runtime's product sums over at least 128 terms in order, but where it breaks a longer sum can
 * depend on the number of rows and threads.
 */
export const PREFIX_BLOCK = 128;

/** Slices to the end of an axis. */
const END = Number.MAX_SAFE_INTEGER;

/** Names of the inputs and outputs that hold keys and values of a layer. */
export const cacheNames = (layer: number) => ({
  prefixKeys: `prefix_keys.${layer}`,
  prefixValues: `prefix_values.${layer}`,
  pastKeys: `past_keys.${layer}`,
  pastValues: `past_values.${layer}`,
  newKeys: `new_keys.${layer}`,
  newValues: `new_values.${layer}`,
});

/** Queries of all heads that share a key head, of the rows behind one prefix. */
const queriesOfPrefix = (config: DecoderConfig) => productOf([config.heads / config.kvHeads, 'R', 'S']);

/**
 * Declares the inputs `prefixed` (bool: any row has a prefix; else nothing of it is computed), `prefix_mask` (added to the prefix's scores), `mask` (to those of past and new tokens), the caches of every layer, and,
 * as each layer attends, the outputs with its new keys and values.
 */
export function cachedAttention(graph: Graph, config: DecoderConfig): CachedAttention {
  const { kvHeads, headDim, heads } = config;
  const group = heads / kvHeads;
  const queries = queriesOfPrefix(config);
  // A sliding window hides keys of the prefix from some queries; otherwise the mask hides the padding of blocks only.
  const prefixMask = graph.input('prefix_mask', 'float32', ['P', 1, 'N', config.slidingWindow ? queries : 1, 'K']);
  const mask = graph.input('mask', 'float32', [ROWS, 1, 1, 'S', '(C+S)']);
  const layers = Array.from({ length: config.layers }, (_, layer) => cacheNames(layer));
  const prefix = (name: string) => graph.input(name, 'float32', ['P', kvHeads, 'N', 'K', headDim]);
  const past = (name: string) => graph.input(name, 'float32', [ROWS, kvHeads, 'C', headDim]);
  const caches = {
    prefixKeys: layers.map((names) => prefix(names.prefixKeys)),
    prefixValues: layers.map((names) => prefix(names.prefixValues)),
    pastKeys: layers.map((names) => past(names.pastKeys)),
    pastValues: layers.map((names) => past(names.pastValues)),
  };

  const prefixed = graph.input('prefixed', 'bool', []);
  const capacity = op.sizeOf(graph, 'C');
  const one = op.scalar(graph, 1, 'float32');

  /** Softmax over the last axis; the sum of exponentials is exp(largest) / share, share being the largest probability. `largest` is made where it is asked for. */
  const softmaxOf = (scores: Value) => {
    const probabilities = op.softmax(scores);
    return {
      probabilities,
      largest: () => op.reduceMax(scores, [-1], true),
      share: op.reduceMax(probabilities, [-1], true),
    };
  };

  /**
   * Own past and new tokens. For the past one product a query head, so that decoding multiplies single rows, which ONNX Runtime does without
   * repacking K and V; for the few new tokens one a key head.
   */
  const attendOwn = (layer: number, query: Value, key: Value, value: Value) => {
    const grouped = op.reshape(query, [ROWS, kvHeads, productOf([group, 'S']), headDim]);
    const pastKeys = op.unsqueeze(caches.pastKeys[layer]!, [2]);
    const pastValues = op.unsqueeze(caches.pastValues[layer]!, [2]);
    const ofPast = op.matmul(query, pastKeys, { transB: true });
    const ofNew = op.reshape(op.matmul(grouped, key, { transB: true }), [ROWS, kvHeads, group, 'S', 'S']);
    const { probabilities, ...sum } = softmaxOf(op.add(op.concat([ofPast, ofNew], -1), mask));
    const past = op.slice(probabilities, -1, 0, capacity, 'C');
    const fresh = op.slice(probabilities, -1, capacity, END, 'S');
    const context = op.matmul(op.reshape(fresh, [ROWS, kvHeads, productOf([group, 'S']), 'S']), value);
    return { context: op.add(op.matmul(past, pastValues), op.reshape(context, query.shape)), ...sum };
  };

  /** The prefix: the queries of all its rows against one copy of its keys, [P, kvHeads, N, queries, headDim]. */
  const attendPrefix = (layer: number, query: Value) => {
    const scores = op.matmul(query, caches.prefixKeys[layer]!, { transB: true });
    const { probabilities, ...sum } = softmaxOf(op.add(scores, prefixMask));
    return { context: op.matmul(probabilities, caches.prefixValues[layer]!), ...sum };
  };

  const attend: Attend = (layer, query, key, value) => {
    const names = cacheNames(layer);
    graph.output(names.newKeys, key);
    graph.output(names.newValues, value);
    const scaled = op.mul(query, 1 / Math.sqrt(headDim));
    const grouped = op.reshape(scaled, [ROWS, kvHeads, group, 'S', headDim]);
    const perRow = productOf([group, 'S']);
    /** [P R, kvHeads, group, S, x] -> [P, kvHeads, 1, queries, x] */
    const byKeyHead = (x: Value) => {
      const size = x.shape.at(-1)!;
      const byPrefix = op.transpose(op.reshape(x, ['P', 'R', kvHeads, perRow, size]), [0, 2, 1, 3, 4]);
      return op.reshape(byPrefix, ['P', kvHeads, 1, queries, size]);
    };
    const own = attendOwn(layer, grouped, key, value);

    const withPrefix = graph.subgraph(`prefixed.${layer}`, (branch) => {
      const shared = attendPrefix(layer, byKeyHead(grouped));
      /** Of own and shared keys, by stretch: [P, kvHeads, 1 + N, queries, x]. */
      const stretches = (ofOwn: Value, ofShared: Value) => op.concat([byKeyHead(ofOwn), ofShared], 2);
      const exponentials = op.softmax(stretches(own.largest(), shared.largest()), 2);
      const weights = op.div(exponentials, stretches(own.share, shared.share));
      const weighted = op.reduceSum(op.mul(weights, stretches(own.context, shared.context)), [2]);
      const joined = op.div(weighted, op.reduceSum(weights, [2])); // [P, kvHeads, queries, headDim]
      const byRow = op.transpose(op.reshape(joined, ['P', kvHeads, 'R', perRow, headDim]), [0, 2, 1, 3, 4]);
      branch.output(`with_prefix.${layer}`, op.reshape(byRow, [ROWS, heads, 'S', headDim]));
    });
    // The same with the only stretch that counts, rounded as above: rows without a prefix may stand beside others with one.
    const alone = graph.subgraph(`alone.${layer}`, (branch) => {
      const weight = op.div(one, own.share);
      const context = op.div(op.mul(own.context, weight), weight);
      branch.output(`without_prefix.${layer}`, op.reshape(context, [ROWS, heads, 'S', headDim]));
    });
    return op.choose(prefixed, withPrefix, alone)[0]!;
  };

  return { attend, ...caches };
}
