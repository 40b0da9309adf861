import type { GraphNode, Value } from './builder.ts';
import { productOf, quotientOf } from './dimensions.ts';
import * as op from './operators.ts';

/**
 * One rule per operator: from a node and the gradients of its outputs, the gradients of its inputs, each as a function called only if that
 * gradient is needed (undefined = none). A rule need not undo broadcasting: gradients.ts does.
 * Derivatives are textbook; those of normalisation and softmax are checked against finite differences in test/engine/gradients.
 */
type Gradient = (() => Value | undefined) | undefined;
type Rule = (
  node: GraphNode,
  outputGradients: readonly (Value | undefined)[],
  keepsRows: (input: Value | undefined) => boolean,
) => readonly Gradient[];

/** Operators whose result is constant almost everywhere: nothing flows back. */
export const NOT_DIFFERENTIABLE: ReadonlySet<string> = new Set([
  'Less',
  'LessOrEqual',
  'Greater',
  'GreaterOrEqual',
  'Equal',
  'And',
  'Or',
  'Not',
  'Sign',
  'Floor',
  'Round',
  'Shape',
  'ArgMax',
  'Range',
  'ConstantOfShape',
]);

/** A rule for operators with one differentiable output. */
function rule(
  gradientsOf: (context: {
    x: Value;
    y: Value;
    inputs: readonly Value[];
    dy: Value;
    node: GraphNode;
    keepsRows: (input: Value | undefined) => boolean;
  }) => readonly Gradient[],
): Rule {
  return (node, outputGradients, keepsRows) => {
    const inputs = node.inputs as readonly Value[];
    const dy = outputGradients[0];
    return dy
      ? gradientsOf({ x: inputs[0]!, y: node.outputs[0]!, inputs, dy, node, keepsRows })
      : inputs.map(() => undefined);
  };
}

const attribute = (node: GraphNode, name: string) => node.attributes[name] as number;
const floatAttribute = (node: GraphNode, name: string) => (node.attributes[name] as { float: number }).float;
/** 1 where the condition holds, else 0. */
const indicator = (condition: Value, like: Value) => op.cast(condition, like.dtype);

export const RULES: Readonly<Record<string, Rule>> = {
  Add: rule(({ dy }) => [() => dy, () => dy]),
  Sub: rule(({ dy }) => [() => dy, () => op.neg(dy)]),
  Mul: rule(({ inputs: [a, b], dy }) => [() => op.mul(dy, b!), () => op.mul(dy, a!)]),
  Div: rule(({ inputs: [, b], y, dy }) => [() => op.div(dy, b!), () => op.neg(op.div(op.mul(dy, y), b!))]),
  // Only constant exponents are built.
  Pow: rule(({ x, inputs: [, exponent], dy }) => {
    const power = Number(x.graph.constantData(exponent!)![0]);
    return [() => op.mul(dy, op.mul(op.pow(x, power - 1), power)), undefined];
  }),
  // Of equal operands the first gets the gradient.
  Min: rule(({ inputs: [a, b], dy }) => [
    () => op.mul(dy, indicator(op.lessOrEqual(a!, b!), dy)),
    () => op.mul(dy, indicator(op.greater(a!, b!), dy)),
  ]),
  Max: rule(({ inputs: [a, b], dy }) => [
    () => op.mul(dy, indicator(op.greaterOrEqual(a!, b!), dy)),
    () => op.mul(dy, indicator(op.less(a!, b!), dy)),
  ]),
  Where: rule(({ x: condition, dy }) => [
    undefined,
    () => op.where(condition, dy, 0),
    () => op.where(condition, 0, dy),
  ]),

  Neg: rule(({ dy }) => [() => op.neg(dy)]),
  Exp: rule(({ y, dy }) => [() => op.mul(dy, y)]),
  Log: rule(({ x, dy }) => [() => op.div(dy, x)]),
  Sqrt: rule(({ y, dy }) => [() => op.div(op.mul(dy, 0.5), y)]),
  Reciprocal: rule(({ y, dy }) => [() => op.neg(op.mul(dy, op.mul(y, y)))]),
  Abs: rule(({ x, dy }) => [() => op.mul(dy, op.sign(x))]),
  Tanh: rule(({ y, dy }) => [() => op.mul(dy, op.sub(1, op.mul(y, y)))]),
  Sigmoid: rule(({ y, dy }) => [() => op.mul(dy, op.mul(y, op.sub(1, y)))]),
  // silu' = s + x s (1 - s) = s + y (1 - s)
  QuickGelu: rule(({ x, y, dy }) => [
    () => {
      const s = op.sigmoid(x);
      return op.mul(dy, op.add(s, op.mul(y, op.sub(1, s))));
    },
  ]),
  Identity: rule(({ dy, x }) => [() => op.assumeShape(dy, x.shape)]),
  Cast: rule(({ x, dy }) => [() => op.cast(dy, x.dtype)]),

  FusedMatMul: rule(({ inputs, dy, node, keepsRows }) => {
    const [a, b] = [inputs[0]!, inputs[1]!];
    const [transA, transB] = [attribute(node, 'transA') === 1, attribute(node, 'transB') === 1];
    const alpha = floatAttribute(node, 'alpha');
    // A matrix shared by all rows, its gradient summed over them: one product over all rows instead of many.
    const flat = b.shape.length === 2 && a.shape.length > 2 && !transA && !keepsRows(b);
    const rows = (value: Value) =>
      flat ? op.reshape(value, [productOf(value.shape.slice(0, -1)), value.shape.at(-1)!]) : value;
    return [
      () =>
        transA
          ? op.matmul(b, dy, { transA: transB, transB: true, alpha })
          : op.matmul(dy, b, { transB: !transB, alpha }),
      () =>
        transB
          ? op.matmul(rows(dy), rows(a), { transA: true, transB: transA, alpha })
          : op.matmul(rows(a), rows(dy), { transA: !transA, alpha }),
    ];
  }),
  Gemm: rule(({ inputs, dy, node }) => {
    const [a, b] = [inputs[0]!, inputs[1]!];
    const [transA, transB] = [attribute(node, 'transA') === 1, attribute(node, 'transB') === 1];
    const alpha = floatAttribute(node, 'alpha');
    const beta = floatAttribute(node, 'beta');
    return [
      () =>
        transA
          ? op.gemm(b, dy, undefined, { transA: transB, transB: true, alpha })
          : op.gemm(dy, b, undefined, { transB: !transB, alpha }),
      () =>
        transB
          ? op.gemm(dy, a, undefined, { transA: true, transB: transA, alpha })
          : op.gemm(a, dy, undefined, { transA: !transA, alpha }),
      ...(inputs.length > 2 ? [() => (beta === 1 ? dy : op.mul(dy, beta))] : []),
    ];
  }),

  Softmax: rule(({ y, dy, node }) => [
    () => op.mul(y, op.sub(dy, op.reduceSum(op.mul(dy, y), [attribute(node, 'axis')], true))),
  ]),
  LogSoftmax: rule(({ y, dy, node }) => [
    () => op.sub(dy, op.mul(op.exp(y), op.reduceSum(dy, [attribute(node, 'axis')], true))),
  ]),
  ReduceSum: rule(({ x, dy, node }) => [() => op.expand(withReducedAxes(dy, node), x.shape), undefined]),
  ReduceMean: rule(({ x, y, dy, node }) => [
    () => op.expand(withReducedAxes(op.div(dy, meanCount(x, y)), node), x.shape),
    undefined,
  ]),
  ReduceSumSquare: rule(({ x, dy, node }) => [() => op.mul(x, op.mul(withReducedAxes(dy, node), 2)), undefined]),
  ReduceLogSumExp: rule(({ x, y, dy, node }) => [
    () => op.mul(op.exp(op.sub(x, withReducedAxes(y, node))), withReducedAxes(dy, node)),
    undefined,
  ]),
  // Equal extremes share the gradient.
  ReduceMax: rule(({ x, y, dy, node }) => [() => shareOfExtreme(x, y, dy, node), undefined]),
  ReduceMin: rule(({ x, y, dy, node }) => [() => shareOfExtreme(x, y, dy, node), undefined]),
  CumSum: rule(({ x, inputs: [, axis], dy, node }) => [
    () =>
      op.cumSum(dy, Number(x.graph.constantData(axis!)![0]), {
        exclusive: attribute(node, 'exclusive') === 1,
        reverse: attribute(node, 'reverse') === 0,
      }),
    undefined,
  ]),

  // y = x r w with r = 1 / sqrt(mean(x^2) + epsilon); g = dy w: dx = r (g - x r mean(g x r)), dw = sum(dy x r)
  SimplifiedLayerNormalization: rule(({ x, inputs: [, scale], dy, node }) => {
    const r = node.outputs[1]!;
    const normalized = op.mul(x, r);
    return [
      () => {
        const g = op.mul(dy, scale!);
        return op.mul(r, op.sub(g, op.mul(normalized, op.reduceMean(op.mul(g, normalized), [-1], true))));
      },
      () => op.mul(dy, normalized),
    ];
  }),
  RotaryEmbedding: rule(({ inputs: [, positions, cos, sin], dy }) => [
    () => op.rotaryEmbedding(dy, positions!, cos!, op.neg(sin!)),
    undefined,
    undefined,
    undefined,
  ]),

  Reshape: rule(({ x, dy }) => [() => op.reshape(dy, x.shape), undefined]),
  Squeeze: rule(({ x, dy }) => [() => op.reshape(dy, x.shape), undefined]),
  Unsqueeze: rule(({ x, dy }) => [() => op.reshape(dy, x.shape), undefined]),
  Expand: rule(({ dy }) => [() => dy, undefined]),
  Transpose: rule(({ dy, node }) => [
    () => {
      const permutation = node.attributes['perm'] as number[];
      return op.transpose(
        dy,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      );
    },
  ]),
  Concat: rule(({ inputs, dy, node }) => {
    const axis = attribute(node, 'axis');
    let end = op.integers(dy.graph.insertion, [0]);
    return inputs.map((input) => {
      const start = end;
      end = op.add(start, op.sizeOf(dy.graph, input.shape[axis]!));
      const stop = end;
      return () => op.slice(dy, axis, start, stop, input.shape[axis]!);
    });
  }),
  Split: (node, outputGradients) => {
    const axis = attribute(node, 'axis');
    const parts = () =>
      node.outputs.map((output, i) => outputGradients[i] ?? op.zeros(output.graph, output.shape, output.dtype));
    return [() => op.concat(parts(), axis), undefined];
  },
  Slice: rule(({ x, inputs: [, start, end, axes], dy }) => [
    () => {
      const axis = Number(x.graph.constantData(axes!)![0]);
      return op.padAxis(dy, axis, start!, end!, x.shape[axis]!);
    },
    undefined,
    undefined,
    undefined,
  ]),

  // Rows may repeat: ScatterElements adds them correctly (ScatterND's addition is racy), slowly.
  Gather: rule(({ x, inputs: [, indices], dy, node }) => [
    () => {
      const axis = attribute(node, 'axis');
      if (axis !== 0) throw new TypeError('gradients: Gather has a rule for axis 0 only');
      const rest = x.shape.slice(1);
      const count = productOf(indices!.shape);
      const spread = op.reshape(indices!, [count, ...rest.map(() => 1)]);
      return op.scatterElements(
        op.zeros(x.graph, x.shape, x.dtype),
        op.expand(spread, [count, ...rest]),
        op.reshape(dy, [count, ...rest]),
        0,
        'add',
      );
    },
    undefined,
  ]),
  GatherElements: rule(({ x, inputs: [, indices], dy, node }) => [
    () => op.scatterElements(op.zeros(x.graph, x.shape, x.dtype), indices!, dy, attribute(node, 'axis'), 'add'),
    undefined,
  ]),
};

/** A reduced value with the reduced axes back, of size 1. */
function withReducedAxes(value: Value, node: GraphNode): Value {
  if (attribute(node, 'keepdims') === 1) return value;
  const axes = node.inputs[1]!;
  return op.unsqueeze(value, [...node.graph.constantData(axes)!].map(Number));
}

/** How many elements each mean was taken over, as a scalar of x's type. */
function meanCount(x: Value, y: Value): Value {
  const count = quotientOf(productOf(x.shape), productOf(y.shape));
  if (typeof count === 'number') return op.scalar(x.graph.insertion, count, x.dtype);
  return op.cast(op.sizeOf(x.graph, count!), x.dtype);
}

function shareOfExtreme(x: Value, y: Value, dy: Value, node: GraphNode): Value {
  const chosen = indicator(op.equal(x, withReducedAxes(y, node)), x);
  const axes = [...node.graph.constantData(node.inputs[1]!)!].map(Number);
  return op.mul(chosen, op.div(withReducedAxes(dy, node), op.reduceSum(chosen, axes, true)));
}
