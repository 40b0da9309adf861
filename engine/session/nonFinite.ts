import type { Graph, GraphNode, Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { rewriteGraph } from '../graph/rewrite.ts';
import type { Observed } from '../graph/rewrite.ts';
import { EngineError } from '../policy.ts';
import type { GraphSession, SessionSettings, Tensor } from './session.ts';

/** Whether no value is NaN or infinite. */
export function allFinite(values: Float32Array): boolean {
  // A sum of finite numbers times zero is zero; one NaN or infinity makes it NaN.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  return sum === 0;
}

/** Where NaN or infinity begins when a session runs on these inputs, in a sentence. */
export async function nonFiniteCause(session: GraphSession, feeds: Record<string, Tensor>): Promise<string> {
  try {
    const source = await session.findNonFinite(feeds);
    if (source) return `it begins at ${source.description}`;
    const elsewhere = session.provider === 'cpu' ? 'run again' : `run again on the CPU instead of ${session.provider}`;
    return `${elsewhere}, the same inputs give finite values in every operator`;
  } catch (error) {
    return `where it begins could not be found: ${(error as Error).message}`;
  }
}

/** Calls `check` on the results of a run; to an EngineError('notFinite') that it throws, the cause is added. */
export async function withNonFiniteCause<T>(
  session: GraphSession,
  feeds: Record<string, Tensor>,
  check: () => T,
): Promise<T> {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'notFinite') throw error;
    throw new EngineError(error.kind, `${error.message}: ${await nonFiniteCause(session, feeds)}`, { cause: error });
  }
}

/** The operator, weight or input where NaN or infinity first appears. */
export interface NonFiniteSource {
  /** In words: what it is, where, its shape, how many of its values are not finite. */
  description: string;
  /** Name in the graph. */
  name: string;
  /** ONNX operator; absent for weights and inputs. */
  operator?: string;
  /** NaN and infinite values in it, all outputs together. */
  count: number;
}

type OpenSession = (graph: Graph, settings: SessionSettings) => Promise<GraphSession>;

/**
 * Runs a graph again on the same inputs with a count of the NaN and infinite values of every tensor, sub-graphs included, and returns where they
 * begin: at an input, at a weight, or at the first operator, in the order of computation, with finite operands and a result that is not. Undefined if
 * everything is finite. The counts are taken inside the graph, so that they need no more memory than the largest tensor; on the CPU, because
 * shaders may assume that there is no NaN.
 */
export async function findNonFinite(
  graph: Graph,
  feeds: Record<string, Tensor>,
  settings: SessionSettings,
  open: OpenSession,
): Promise<NonFiniteSource | undefined> {
  const { graph: counting, observed } = rewriteGraph(graph, {
    observeSource: (_source, copy) => (isReal(copy) ? countNonFinite([copy]) : undefined),
    observeNode: (_node, outputs) => (outputs.some(isReal) ? countNonFinite(outputs.filter(isReal)) : undefined),
  });
  // Without packed weights: a second copy of them might not fit.
  const session = await open(counting, { ...settings, device: 'cpu', prepack: false, foldConstants: false });
  try {
    const counts = await session.run(feeds, [...observed.keys()]);
    const found = [...observed]
      .map(([name, what]) => ({ what, count: Number(counts[name]!.data[0]) }))
      .filter(({ count }) => count !== 0)
      .sort((a, b) => order(a.what) - order(b.what))[0];
    return found && describe(found.what, found.count);
  } finally {
    await session.release();
  }
}

const isReal = ({ dtype }: Value) => dtype === 'float32' || dtype === 'float64';

/** Inputs and weights first, then operators as they were made, sub-graphs included. */
const order = (what: Observed) => ('node' in what ? what.node.index : -1);

/** How many elements are NaN or infinite: those whose product with zero is not zero. float32 []. */
function countNonFinite(values: readonly Value[]): Value {
  return values
    .map((value) => {
      const wrong = op.cast(op.not(op.equal(op.mul(value, 0), 0)), 'float32');
      // Without axes it sums all, whatever the rank: results of a branch not taken have another one than those of the branch taken.
      return wrong.graph.insertion.node('ReduceSum', [wrong], [{ dtype: 'float32', shape: [] }], { keepdims: 0 })[0]!;
    })
    .reduce((sum, count) => op.add(sum, count));
}

function describe(what: Observed, count: number): NonFiniteSource {
  const values = (tensors: readonly Value[]) =>
    `${count} of its values ${count === 1 ? 'is' : 'are'} NaN or infinite, shape ${tensors.map(({ shape }) => `[${shape.join(', ')}]`).join(' and ')}`;
  if ('source' in what) {
    const { source } = what;
    const kind = source.graph.inputs.includes(source) ? 'input' : 'weight';
    return { name: source.name, count, description: `the ${kind} ${source.name} itself: ${values([source])}` };
  }
  const { node } = what;
  const { name } = node.outputs[0]!;
  const place = placeOf(node);
  return {
    name,
    operator: node.operator,
    count,
    description: `${node.operator} (${name}${place ? `, ${place}` : ''}): ${values(node.outputs.filter(isReal))}; its operands are finite`,
  };
}

/** Which named weight or input a node uses, or comes after, and whether it belongs to a sub-graph, such as the backward pass. */
function placeOf(node: GraphNode): string {
  const own = node.inputs.find((input) => input && isNamed(input));
  const part = node.graph.parent ? `in '${node.graph.name}'` : '';
  const module = own ? `of ${own.name}` : afterOf(node);
  return [module, part].filter((text) => text !== '').join(' ');
}

/** The nearest node upstream, by number of steps, that has a named operand. */
function afterOf(node: GraphNode): string {
  const seen = new Set<GraphNode>([node]);
  for (const at of seen) {
    const named = at === node ? undefined : at.inputs.find((input) => input && isNamed(input));
    if (named) return `after ${named.name}`;
    for (const input of at.inputs) {
      const producer = input && input.graph.producerOf(input);
      if (producer) seen.add(producer);
    }
  }
  return '';
}

/** Weights in files and adapter matrices carry the names of the model; everything else is numbered. */
const isNamed = (value: Value) => /^(base_model\.)?model\.|^lm_head\./.test(value.name);
