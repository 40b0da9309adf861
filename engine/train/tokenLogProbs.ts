import type { Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';

/** Tokens whose logits are in memory at once; the number of rows given to `tokenLogProbs` must be a multiple. */
export const HEAD_CHUNK = 64;

export interface HeadOutputs {
  /** log p of each target, [tokens]. */
  logProbs: Value;
  /** Entropy of each next-token distribution in nats, [tokens], at the insertion point; needs `training`. A constant without `entropyGradient`. */
  entropy: () => Value;
}

/**
 * log softmax(hidden E' / temperature) at the targets, without keeping logits: a loop over chunks of rows.
 * If `training` (bool scalar) is true at run time, each chunk also yields P E, the mean embedding under the distribution, which gives the gradient
 * c (E[target] - P E) / temperature for any coefficient c = dLoss / dlogp, and the entropy H; with `entropyGradient` also (P log P) E, which gives the
 * gradient -((P log P) E + H P E) / temperature of the entropy.
 * hidden [tokens, hiddenSize], head E [vocabulary, hiddenSize], targets int64 [tokens], temperature float32 [].
 * The gradient goes to `hidden` only.
 */
export function tokenLogProbs(
  hidden: Value,
  head: Value,
  targets: Value,
  temperature: Value,
  training?: Value,
  entropyGradient = false,
): HeadOutputs {
  const graph = hidden.graph.insertion;
  const [tokens, size] = [hidden.shape[0]!, hidden.shape[1]!];
  const scaled = op.div(hidden, temperature);
  const chunks = op.squeeze(op.div(op.sizeOf(graph, tokens), HEAD_CHUNK), [0]);
  const body = graph.subgraph('headChunk', (chunk) => {
    const iteration = chunk.input('headChunk.index', 'int64', []);
    const condition = chunk.input('headChunk.condition', 'bool', []);
    const start = op.reshape(op.mul(iteration, HEAD_CHUNK), [1]);
    const end = op.add(start, HEAD_CHUNK);
    const logits = op.matmul(op.slice(scaled, 0, start, end, HEAD_CHUNK), head, { transB: true });
    const probabilities = op.softmax(logits);
    // log of the normaliser from the largest element, whose probability is never tiny.
    const normalizer = op.sub(op.reduceMax(logits, [-1], true), op.log(op.reduceMax(probabilities, [-1], true)));
    const chosen = op.gatherElements(logits, op.unsqueeze(op.slice(targets, 0, start, end, HEAD_CHUNK), [1]), 1);
    chunk.output('headChunk.continue', op.identity(condition));
    chunk.output('headChunk.logProbs', op.sub(chosen, normalizer));
    chunk.output('headChunk.normalizer', normalizer);
    if (!training) return;
    const mean = chunk.subgraph('headMean', (branch) => {
      // Symbols, because the other branch gives another shape.
      const embedding = branch.ownCopy(head);
      const averaged = (weights: Value) => op.assumeShape(op.matmul(weights, embedding), ['meanRows', 'meanSize']);
      branch.output('headChunk.mean', averaged(probabilities));
      if (!entropyGradient) return;
      const surprise = op.mul(probabilities, op.sub(logits, normalizer));
      branch.output('headChunk.surpriseMean', averaged(surprise));
    });
    const nothing = chunk.subgraph('headNoMean', (branch) => {
      branch.output('headChunk.noMean', op.zeros(branch, [1, 1]));
      if (entropyGradient) branch.output('headChunk.noSurpriseMean', op.zeros(branch, [1, 1]));
    });
    const [meanEmbedding, surpriseEmbedding] = op.choose(training, mean, nothing);
    chunk.output('headChunk.meanEmbedding', meanEmbedding!);
    if (entropyGradient) chunk.output('headChunk.surpriseEmbedding', surpriseEmbedding!);
  });
  const { stacked } = op.loop(chunks, undefined, [], body, 'headChunks');
  const flat = (value: Value) => op.assumeShape(op.reshape(value, [`${HEAD_CHUNK}*headChunks`]), [tokens]);
  const logProbs = flat(stacked[0]!);
  // Only to be used where `training` holds: elsewhere it has no rows.
  const embeddings = (value: Value) => {
    const chunked = op.assumeShape(value, ['headChunks', HEAD_CHUNK, size]);
    return op.assumeShape(op.reshape(chunked, [`${HEAD_CHUNK}*headChunks`, size]), [tokens, size]);
  };

  graph.composite('TokenLogProbs', [hidden], [logProbs], ([coefficient]) => {
    if (!coefficient) return [undefined];
    const difference = op.sub(op.gather(head, targets), embeddings(stacked[2]!));
    return [op.mul(op.unsqueeze(op.div(coefficient, temperature), [1]), difference)];
  });
  const entropy = () => {
    const normalizer = flat(stacked[1]!);
    const mean = embeddings(stacked[2]!);
    const value = op.sub(normalizer, op.reduceSum(op.mul(scaled, mean), [-1]));
    if (!entropyGradient) return value;
    graph.composite('Entropy', [hidden], [value], ([coefficient]) => {
      if (!coefficient) return [undefined];
      const weighted = op.add(embeddings(stacked[3]!), op.mul(op.unsqueeze(value, [1]), mean));
      return [op.neg(op.mul(op.unsqueeze(op.div(coefficient, temperature), [1]), weighted))];
    });
    return value;
  };
  return { logProbs, entropy };
}

/**
 * The same with all logits in memory, for training the head itself: differentiated operator by operator, down to hidden and head.
 * hidden [tokens, hiddenSize], head [vocabulary, hiddenSize], targets int64 [tokens], temperature float32 [].
 */
export function wholeTokenLogProbs(hidden: Value, head: Value, targets: Value, temperature: Value): HeadOutputs {
  const logProbs = op.logSoftmax(op.matmul(op.div(hidden, temperature), head, { transB: true }));
  return {
    logProbs: op.squeeze(op.gatherElements(logProbs, op.unsqueeze(targets, [1]), 1), [1]),
    entropy: () => op.neg(op.reduceSum(op.mul(op.exp(logProbs), logProbs), [-1])),
  };
}

/**
 * Rows of x [rows, size] at distinct indices (int64 [tokens]); padding may repeat any index. Its gradient is a gather too: `inverse` (int64 [rows])
 * says for each row of x which row of the result it became, or `tokens` (one past the last) if none.
 */
export function gatherRows(x: Value, indices: Value, inverse: Value): Value {
  const rows = op.gather(x, indices);
  x.graph.insertion.composite('GatherRows', [x], [rows], ([gradient]) => {
    if (!gradient) return [undefined];
    const nothing = op.zeros(x.graph, [1, x.shape[1]!]);
    return [op.gather(op.concat([gradient, nothing], 0), inverse)];
  });
  return rows;
}
