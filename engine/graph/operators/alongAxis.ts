/** Operators along an axis: softmax, reductions, running sums, extremes. */
import type { Value } from '../builder.ts';
import { integers, scalar } from './constants.ts';
import { axisOf, one, unary } from './node.ts';

export const softmax = (x: Value, axis = -1) => unary('Softmax', x, { axis: axisOf('Softmax', x, axis) });
export const logSoftmax = (x: Value, axis = -1) => unary('LogSoftmax', x, { axis: axisOf('LogSoftmax', x, axis) });

function reduce(operator: string, x: Value, axes: readonly number[], keepDimensions: boolean): Value {
  const graph = x.graph.insertion;
  const reduced = new Set(axes.map((axis) => axisOf(operator, x, axis)));
  const shape = x.shape.flatMap((dimension, axis) => (reduced.has(axis) ? (keepDimensions ? [1] : []) : [dimension]));
  return one(
    graph,
    operator,
    [
      x,
      integers(
        graph,
        [...reduced].sort((a, b) => a - b),
      ),
    ],
    x.dtype,
    shape,
    { keepdims: keepDimensions ? 1 : 0 },
  );
}

export const reduceSum = (x: Value, axes: readonly number[], keepDimensions = false) =>
  reduce('ReduceSum', x, axes, keepDimensions);
export const reduceMean = (x: Value, axes: readonly number[], keepDimensions = false) =>
  reduce('ReduceMean', x, axes, keepDimensions);
export const reduceMax = (x: Value, axes: readonly number[], keepDimensions = false) =>
  reduce('ReduceMax', x, axes, keepDimensions);
export const reduceMin = (x: Value, axes: readonly number[], keepDimensions = false) =>
  reduce('ReduceMin', x, axes, keepDimensions);
export const reduceSumSquare = (x: Value, axes: readonly number[], keepDimensions = false) =>
  reduce('ReduceSumSquare', x, axes, keepDimensions);
export const reduceLogSumExp = (x: Value, axes: readonly number[], keepDimensions = false) =>
  reduce('ReduceLogSumExp', x, axes, keepDimensions);

/** Running sum along an axis. */
export function cumSum(x: Value, axis: number, options: { exclusive?: boolean; reverse?: boolean } = {}): Value {
  const graph = x.graph.insertion;
  const attributes = { exclusive: options.exclusive ? 1 : 0, reverse: options.reverse ? 1 : 0 };
  return one(graph, 'CumSum', [x, scalar(graph, axisOf('CumSum', x, axis), 'int64')], x.dtype, x.shape, attributes);
}

/** Index (int64) of the largest element along an axis; the first of equals. */
export function argMax(x: Value, axis: number, keepDimensions = false): Value {
  const at = axisOf('ArgMax', x, axis);
  const shape = x.shape.flatMap((dimension, i) => (i === at ? (keepDimensions ? [1] : []) : [dimension]));
  return one(x.graph.insertion, 'ArgMax', [x], 'int64', shape, {
    axis: at,
    keepdims: keepDimensions ? 1 : 0,
    select_last_index: 0,
  });
}

/** The k largest along an axis, sorted, and their indices (int64). */
export function topK(x: Value, k: number, axis = -1): { values: Value; indices: Value } {
  const graph = x.graph.insertion;
  const at = axisOf('TopK', x, axis);
  const shape = x.shape.map((dimension, i) => (i === at ? k : dimension));
  const outputs = [
    { dtype: x.dtype, shape },
    { dtype: 'int64' as const, shape },
  ];
  const [values, indices] = graph.node('TopK', [x, integers(graph, [k])], outputs, { axis: at, largest: 1, sorted: 1 });
  return { values: values!, indices: indices! };
}
