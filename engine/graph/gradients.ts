import type { GraphNode, Value } from './builder.ts';
import { formatShape, sameShape } from './dimensions.ts';
import type { Shape } from './dimensions.ts';
import { NOT_DIFFERENTIABLE, RULES } from './gradientRules.ts';
import * as op from './operators.ts';

export interface GradientOptions {
  /**
   * Values (shape s, used by every row of a batch) whose gradient is wanted for each row by itself: shape [batch, ...s], not summed over the batch.
   */
  keepRows?: ReadonlySet<Value>;
}

/**
 * Reverse-mode differentiation: gradients of sum(seed * output) with respect to `targets`, as new nodes at the model's insertion point.
 * Only nodes between targets and outputs are visited. A target that no output depends on gets undefined.
 * Throws TypeError if a path leads through an operator without a rule.
 */
export function gradients(
  outputs: readonly { value: Value; seed: Value }[],
  targets: readonly Value[],
  options: GradientOptions = {},
): (Value | undefined)[] {
  const accumulated = new Map<Value, Value>();
  const accumulate = (value: Value, gradient: Value) => {
    const known = accumulated.get(value);
    accumulated.set(value, known ? op.add(known, gradient) : gradient);
  };
  for (const { value, seed } of outputs) {
    if (!sameShape(value.shape, seed.shape))
      throw new TypeError(
        `gradients: the seed of ${value.name} is ${formatShape(seed.shape)}, not ${formatShape(value.shape)}`,
      );
    accumulate(value, seed);
  }
  const targetSet = new Set(targets);
  const again = new Map<Value, Value>();
  for (const node of nodesBetween(
    targetSet,
    outputs.map((output) => output.value),
  )) {
    const outputGradients = node.outputs.map((output) => accumulated.get(output));
    if (outputGradients.every((gradient) => gradient === undefined)) continue;
    const inputGradients = node.compositeGradient
      ? node.compositeGradient(outputGradients).map((gradient) => () => gradient)
      : applyRule(
          {
            ...node,
            inputs: node.inputs.map((input) => input && recomputed(input, again)),
            outputs: node.outputs.map((output) => recomputed(output, again)),
          },
          outputGradients,
          options,
        );
    node.inputs.forEach((input, i) => {
      if (!input || !dependsOn(input, targetSet)) return;
      const gradient = inputGradients[i]?.();
      if (gradient) accumulate(input, undoBroadcast(gradient, input, options.keepRows?.has(input) ?? false));
    });
    // Gradients of inner values are not needed again.
    for (const output of node.outputs) if (!targetSet.has(output)) accumulated.delete(output);
  }
  return targets.map((target) => accumulated.get(target));
}

function applyRule(node: GraphNode, outputGradients: (Value | undefined)[], options: GradientOptions) {
  if (NOT_DIFFERENTIABLE.has(node.operator)) return [];
  const rule = RULES[node.operator];
  if (!rule)
    throw new TypeError(
      `gradients: no rule for operator ${node.operator} (node ${node.outputs[0]?.name}); add one to gradientRules.ts`,
    );
  const keepsRows = (input: Value | undefined) => input !== undefined && (options.keepRows?.has(input) ?? false);
  const gradientsOfInputs = rule(node, outputGradients, keepsRows);
  if (gradientsOfInputs.length !== node.inputs.length) {
    throw new Error(
      `gradients: the rule of ${node.operator} gives ${gradientsOfInputs.length} gradients for ${node.inputs.length} inputs`,
    );
  }
  return gradientsOfInputs;
}

/** The value a rule is to read: a kept one itself, one marked by `Graph.recompute` as a fresh copy at the insertion point (unneeded copies are not encoded). */
function recomputed(value: Value, again: Map<Value, Value>): Value {
  const known = again.get(value);
  if (known) return known;
  const node = value.graph.producerOf(value);
  if (!node || !value.graph.isRecomputed(value)) return value;
  const inputs = node.inputs.map((input) => input && recomputed(input, again));
  const outputs = node.outputs.map(({ dtype, shape }) => ({ dtype, shape }));
  const copies = value.graph.insertion.node(node.operator, inputs, outputs, node.attributes, node.domain);
  node.outputs.forEach((output, i) => {
    if (value.graph.isRecomputed(output)) again.set(output, copies[i]!);
  });
  return again.get(value)!;
}

/** The nodes on paths from targets to outputs, last first. */
function nodesBetween(targets: ReadonlySet<Value>, outputs: readonly Value[]): GraphNode[] {
  const found = new Set<GraphNode>();
  const pending = [...outputs];
  while (pending.length > 0) {
    const value = pending.pop()!;
    const node = value.graph.producerOf(value);
    if (!node || found.has(node) || !dependsOn(value, targets)) continue;
    found.add(node);
    for (const input of node.inputs) if (input) pending.push(input);
  }
  return [...found].sort((a, b) => b.index - a.index);
}

const dependenceOf = new WeakMap<ReadonlySet<Value>, Map<Value, boolean>>();

/** Whether a value is computed from any of the targets. */
function dependsOn(value: Value, targets: ReadonlySet<Value>): boolean {
  let known = dependenceOf.get(targets);
  if (!known) dependenceOf.set(targets, (known = new Map()));
  const answers = known;
  // Iterative: a model of many layers is deeper than the call stack allows.
  const stack = [value];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    if (answers.has(top)) {
      stack.pop();
      continue;
    }
    const inputs = top.graph.producerOf(top)?.inputs.filter((input) => input !== undefined) ?? [];
    const unknown = targets.has(top) ? [] : inputs.filter((input) => !answers.has(input));
    if (unknown.length > 0) {
      stack.push(...unknown);
      continue;
    }
    answers.set(top, targets.has(top) || inputs.some((input) => answers.get(input)));
    stack.pop();
  }
  return answers.get(value)!;
}

/** Sums a gradient over the axes along which its value was repeated; with `keepRows` the first axis stays. */
function undoBroadcast(gradient: Value, value: Value, keepRows: boolean): Value {
  const wanted: Shape =
    keepRows && gradient.shape.length > value.shape.length ? [gradient.shape[0]!, ...value.shape] : value.shape;
  if (sameShape(gradient.shape, wanted)) return gradient;
  const added = gradient.shape.length - value.shape.length;
  const axes = gradient.shape.flatMap((dimension, axis) => {
    if (axis < added) return keepRows && axis === 0 ? [] : [axis];
    return value.shape[axis - added] === 1 && dimension !== 1 ? [axis] : [];
  });
  const summed = axes.length > 0 ? op.reduceSum(gradient, axes, true) : gradient;
  const extra = Array.from({ length: added }, (_, axis) => axis).filter((axis) => !(keepRows && axis === 0));
  const result = extra.length > 0 ? op.squeeze(summed, extra) : summed;
  if (!sameShape(result.shape, wanted)) {
    throw new Error(
      `gradients: a gradient ${formatShape(gradient.shape)} does not fit ${value.name} ${formatShape(value.shape)}`,
    );
  }
  return result;
}
