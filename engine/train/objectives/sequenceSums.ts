import type { Value } from '../../graph/builder.ts';
import * as op from '../../graph/operators.ts';
import type { SequenceStreams } from './tokenStreams.ts';

/**
 * The sum of x over the members of each token's sequence, at every token of it, [tokens]. Added one after another in the order of the tokens, so that
 * its bits do not depend on the other sequences of the run. The map is symmetric: its gradient is the same sum of the gradient.
 */
export function sequenceSums(x: Value, sequences: SequenceStreams): Value {
  const members = op.mul(x, sequences.members);
  const sums = spread(members, sequences.indices);
  x.graph.insertion.composite('SequenceSums', [members], [sums], ([gradient]) => [
    gradient && spread(gradient, sequences.indices),
  ]);
  return sums;
}

/** The mean over the members, [tokens]; 0 for a sequence without any. */
export function sequenceMeans(x: Value, sequences: SequenceStreams): Value {
  const counts = op.stopGradient(spread(sequences.members, sequences.indices));
  return op.div(sequenceSums(x, sequences), op.max(counts, 1));
}

function spread(x: Value, indices: Value): Value {
  return op.gather(op.scatterElements(op.zeros(x.graph, x.shape, x.dtype), indices, x, 0, 'add'), indices);
}
