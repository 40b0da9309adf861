import type { Graph, Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';

/**
 * Chooses a token a row: the most likely one, or by inverting the cumulative distribution at a uniform number.
 *
 * The sum of all probabilities is not exactly 1 in float32, so the uniform number is scaled by it: the token found always has a positive
 * probability.
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
  const [rows, vocabulary] = logits.shape as [string, number];
  const probabilities = op.softmax(logits);
  const mostLikely = graph.subgraph('most_likely', (branch) => {
    branch.output('most_likely_tokens', op.argMax(logits, 1, true));
  });
  const inverseCdf = graph.subgraph('inverse_cdf', (branch) => {
    const cumulative = op.cumSum(probabilities, 1);
    const total = op.slice(cumulative, 1, vocabulary - 1, vocabulary);
    const below = op.lessOrEqual(cumulative, op.mul(uniforms, total));
    const count = op.reduceSum(op.cast(below, 'int32'), [1], true);
    branch.output('drawn_tokens', op.cast(op.min(count, vocabulary - 1), 'int64'));
  });
  const [tokens] = op.choose(greedy, mostLikely, inverseCdf);
  const drawn = op.gatherElements(probabilities, tokens!, 1);
  return { tokens: op.reshape(tokens!, [rows]), probabilities: op.reshape(drawn, [rows]) };
}
