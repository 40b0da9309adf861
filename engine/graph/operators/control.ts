/** Branches and loops. */
import type { Graph, Value } from '../builder.ts';
import type { Dimension } from '../dimensions.ts';
import { described, fail } from './node.ts';

/**
 * Runs one of two sub-graphs (bool scalar condition). Both must have the same number of outputs with the same types; shapes are taken from `then`.
 * Only the chosen one is computed.
 */
export function choose(condition: Value, thenBranch: Graph, elseBranch: Graph): Value[] {
  if (condition.dtype !== 'bool') fail('If', `the condition must be bool, not ${described(condition)}`);
  const types = (graph: Graph) => graph.outputs.map((output) => output.dtype).join();
  if (types(thenBranch) !== types(elseBranch))
    fail('If', `branches differ in outputs: ${types(thenBranch)} and ${types(elseBranch)}`);
  const outputs = thenBranch.outputs.map(({ dtype, shape }) => ({ dtype, shape }));
  return condition.graph.insertion.node('If', [condition], outputs, {
    then_branch: thenBranch,
    else_branch: elseBranch,
  });
}

/**
 * Repeats `body` while its first output (bool) holds, at most `trips` times (int64 scalar). Body inputs: iteration (int64 []), condition (bool []),
 * carried values; body outputs: condition, carried values, then values stacked over iterations. Returns final carried values and stacks, whose
 * first dimension is `iterations`.
 */
export function loop(
  trips: Value,
  condition: Value | undefined,
  initial: readonly Value[],
  body: Graph,
  iterations: Dimension,
): { carried: Value[]; stacked: Value[] } {
  if (body.inputs.length !== initial.length + 2)
    fail(
      'Loop',
      `the body takes ${body.inputs.length} inputs, needed are iteration, condition and ${initial.length} carried values`,
    );
  const outputs = body.outputs
    .slice(1)
    .map(({ dtype, shape }, i) => (i < initial.length ? { dtype, shape } : { dtype, shape: [iterations, ...shape] }));
  const values = trips.graph.insertion.node('Loop', [trips, condition, ...initial], outputs, { body });
  return { carried: values.slice(0, initial.length), stacked: values.slice(initial.length) };
}
