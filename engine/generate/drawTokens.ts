import type { Graph, Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';

/**
 * Chooses a token a row: the most likely one, or by inverting the cumulative distribution at a uniform number.
 * @param logits [R, vocabulary], divided by the temperature already
 * @param uniforms [R, 1] in [0, 1)
 * @param greedy bool scalar
 * @returns tokens int64 [R], and their probabilities, float32 [R]
 */
export function drawTokens(
  graph: Graph,
  logits: Value,
  uniforms: Value,
  greedy: Value,
): { tokens: Value; probabilities: Value } {
  const [rows] = logits.shape as [string];
  const probabilities = op.softmax(logits);
  const mostLikely = graph.subgraph('most_likely', (branch) => {
    branch.output('most_likely_tokens', op.argMax(logits, 1, true));
  });
  const inverse = graph.subgraph('inverse', (branch) => {
    branch.output('inverse_tokens', invertDistribution(probabilities, uniforms));
  });
  const [tokens] = op.choose(greedy, mostLikely, inverse);
  const drawn = op.gatherElements(probabilities, tokens!, 1);
  return { tokens: op.reshape(tokens!, [rows]), probabilities: op.reshape(drawn, [rows]) };
}

/**
 * The token at which the cumulative distribution passes u, int64 [R, 1]: first the block of tokens, then the token in it (one cumulative sum over
 * the whole vocabulary takes ten times as long).
 *
 * Sums in float32 are not exact, so u is scaled by the sum of all blocks, and inside the block kept below the sum of its tokens: the token found
 * always has a positive probability.
 */
function invertDistribution(probabilities: Value, uniforms: Value): Value {
  const [rows, vocabulary] = probabilities.shape as [string, number];
  const width = blockWidth(vocabulary);
  const count = vocabulary / width;
  const blocks = op.reshape(probabilities, [rows, count, width]);
  const upToBlock = op.cumSum(op.reduceSum(blocks, [2]), 1); // [R, count]
  const target = op.mul(uniforms, op.slice(upToBlock, 1, count - 1, count));
  const block = op.min(passed(upToBlock, target), count - 1);
  const before = op.where(
    op.equal(block, 0),
    op.mul(uniforms, 0),
    op.gatherElements(upToBlock, op.max(op.sub(block, 1), 0), 1),
  );

  const places = op.add(op.mul(block, width), op.range(probabilities.graph, ...bounds(width), width)); // [R, width]
  const within = op.cumSum(op.gatherElements(probabilities, places, 1), 1);
  const largest = op.mul(op.slice(within, 1, width - 1, width), 1 - 2 ** -24);
  const token = op.min(passed(within, op.min(op.sub(target, before), largest)), width - 1);
  return op.add(op.mul(block, width), token);

  function bounds(limit: number): [Value, Value, Value] {
    return [0, limit, 1].map((value) => op.scalar(probabilities.graph, value, 'int64')) as [Value, Value, Value];
  }
}

/** How many of the rising numbers of a row are not above the row's target: [R, n], [R, 1] to int64 [R, 1]. */
function passed(rising: Value, target: Value): Value {
  return op.cast(op.reduceSum(op.cast(op.lessOrEqual(rising, target), 'int32'), [1], true), 'int64');
}

/** The divisor of the vocabulary's size nearest to its square root. */
function blockWidth(vocabulary: number): number {
  let width = Math.floor(Math.sqrt(vocabulary));
  while (vocabulary % width !== 0) width--;
  return width;
}
