import { Graph } from './builder.ts';
import type { Attribute, GraphNode, Value } from './builder.ts';
import * as op from './operators.ts';

/** What to put in a node's place: from the new inputs, one value an output (undefined = not made; only for outputs that nothing reads). */
export type Replacement = (node: GraphNode, inputs: readonly (Value | undefined)[]) => readonly (Value | undefined)[];

export interface Rewriting {
  /** By operator. Others are copied. */
  replacements?: Readonly<Record<string, Replacement>>;
  /** Called for every initializer and every input of the outermost graph: a scalar (float32) to return makes a further output. */
  observeSource?: (source: Value, copy: Value) => Value | undefined;
  /** Called for every node after it was copied: a scalar (float32) to return makes a further output. */
  observeNode?: (node: GraphNode, outputs: readonly Value[]) => Value | undefined;
}

/** Something observed: a source value or a node of the original graph. */
export type Observed = { source: Value } | { node: GraphNode };

export interface Rewritten {
  graph: Graph;
  /** What was observed, by the name of the further output. Of a loop's body: the sum over its iterations; of a branch not taken: 0. */
  observed: ReadonlyMap<string, Observed>;
}

interface Observation {
  what: Observed;
  /** A value of the graph that is being written. */
  value: Value;
}

/**
 * A new graph that computes the same outputs, with some operators replaced, or with more outputs. Sub-graphs are rewritten too. Inputs, outputs and
 * weights in files keep their names. Nodes that no output needs are left out.
 */
export function rewriteGraph(graph: Graph, rewriting: Rewriting): Rewritten {
  const result = new Graph(graph.name);
  const used = graph.usedValues();
  const copies = new Map<Value, Value>();
  const observations = copyInto(result, graph);
  const observed = new Map(
    observations.map(({ what, value }, i) => {
      const name = `observed.${i}`;
      result.output(name, value);
      return [name, what];
    }),
  );
  return { graph: result, observed };

  /** Copies one graph, whose outer values were copied before. */
  function copyInto(target: Graph, source: Graph): Observation[] {
    const found: Observation[] = [];
    const observe = (what: Observed, value: Value | undefined) => value && found.push({ what, value });
    for (const input of source.inputs) {
      const copy = target.input(input.name, input.dtype, input.shape);
      copies.set(input, copy);
      if (!source.parent) observe({ source: input }, rewriting.observeSource?.(input, copy));
    }
    for (const { value, data } of source.initializers) {
      if (!used.has(value)) continue;
      const shape = value.shape as readonly number[];
      const copy =
        'fileName' in data
          ? target.weight(value.name, value.dtype, shape, data)
          : target.constant(data, value.dtype, shape);
      copies.set(value, copy);
      observe({ source: value }, rewriting.observeSource?.(value, copy));
    }
    for (const node of source.nodes) {
      if (!node.outputs.some((output) => used.has(output))) continue;
      const inputs = node.inputs.map((input) => input && copies.get(input));
      const { outputs, inner } = copyNode(target, node, inputs);
      node.outputs.forEach((output, i) => outputs[i] && copies.set(output, outputs[i]));
      found.push(...inner);
      const made = outputs.filter((output) => output !== undefined);
      observe({ node }, rewriting.observeNode?.(node, made));
    }
    for (const output of source.outputs) target.output(output.name, copies.get(output)!);
    return found;
  }

  function copyNode(
    target: Graph,
    node: GraphNode,
    inputs: readonly (Value | undefined)[],
  ): { outputs: readonly (Value | undefined)[]; inner: Observation[] } {
    const replacement = rewriting.replacements?.[node.operator];
    if (replacement) return { outputs: replacement(node, inputs), inner: [] };
    const branches: { name: string; graph: Graph; found: Observation[] }[] = [];
    const attributes: Record<string, Attribute> = { ...node.attributes };
    for (const [name, attribute] of Object.entries(node.attributes)) {
      if (!(attribute instanceof Graph)) continue;
      let found: Observation[] = [];
      const graph = target.subgraph(attribute.name, (inside) => (found = copyInto(inside, attribute)));
      attributes[name] = graph;
      branches.push({ name, graph, found });
    }
    const inner = branches.flatMap(({ found }) => found);
    // Every branch must have all outputs: 0 for what another one observes.
    for (const { graph, found } of branches) {
      const own = new Set(found.map(({ value }) => value));
      inner.forEach(({ value }, i) =>
        graph.output(`${graph.name}.observed.${i}`, own.has(value) ? value : op.scalar(graph, 0)),
      );
    }
    const outputs = node.outputs.map(({ dtype, shape }) => ({ dtype, shape }));
    const isLoop = node.operator === 'Loop';
    const further = inner.map(({ value }) => ({
      dtype: value.dtype,
      shape: isLoop ? [`${node.outputs[0]!.name}.trips`] : [],
    }));
    const made = target.node(node.operator, inputs, [...outputs, ...further], attributes, node.domain);
    const observedValue = (i: number) => {
      const value = made[outputs.length + i]!;
      return isLoop ? op.reduceSum(value, [0]) : value;
    };
    return {
      outputs: made.slice(0, outputs.length),
      inner: inner.map(({ what }, i) => ({ what, value: observedValue(i) })),
    };
  }
}
