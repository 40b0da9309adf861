/** Reading and writing at indices; zeros and ranges. */
import type { DataType, Graph, Value } from '../builder.ts';
import { sameShape } from '../dimensions.ts';
import type { Dimension, Shape } from '../dimensions.ts';
import { integers, scalar } from './constants.ts';
import { add, less, min, sub, where } from './elementwise.ts';
import { axisOf, described, fail, one } from './node.ts';
import { concat, expand, sizeOf } from './shape.ts';

function checkIndices(operator: string, indices: Value): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32')
    fail(operator, `indices must be integers, not ${described(indices)}`);
}

/** Slices of x along an axis: [..., indices' shape, ...]. */
export function gather(x: Value, indices: Value, axis = 0): Value {
  checkIndices('Gather', indices);
  const at = axisOf('Gather', x, axis);
  return one(
    x.graph.insertion,
    'Gather',
    [x, indices],
    x.dtype,
    [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)],
    { axis: at },
  );
}

/** x at indices along one axis, the other coordinates being the index's own. */
export function gatherElements(x: Value, indices: Value, axis: number): Value {
  checkIndices('GatherElements', indices);
  if (indices.shape.length !== x.shape.length)
    fail('GatherElements', `${described(indices)} has another rank than ${described(x)}`);
  return one(x.graph.insertion, 'GatherElements', [x, indices], x.dtype, indices.shape, {
    axis: axisOf('GatherElements', x, axis),
  });
}

/** x with `updates` added (or put) at indices along one axis. Correct with repeated indices, but slow: 30-60 times ScatterND. */
export function scatterElements(
  x: Value,
  indices: Value,
  updates: Value,
  axis: number,
  reduction: 'none' | 'add' = 'none',
): Value {
  checkIndices('ScatterElements', indices);
  if (!sameShape(indices.shape, updates.shape))
    fail('ScatterElements', `${described(indices)} and ${described(updates)} differ`);
  return one(x.graph.insertion, 'ScatterElements', [x, indices, updates], x.dtype, x.shape, {
    axis: axisOf('ScatterElements', x, axis),
    reduction,
  });
}

/** x with rows replaced: indices [..., k], updates [..., rest of x]. Indices must not repeat. */
export function scatterND(x: Value, indices: Value, updates: Value): Value {
  checkIndices('ScatterND', indices);
  return one(x.graph.insertion, 'ScatterND', [x, indices, updates], x.dtype, x.shape);
}

/** Zeros of a shape, made at run time (not stored in the model). */
export function zeros(graph: Graph, shape: Shape, dtype: DataType = 'float32'): Value {
  const zero = scalar(graph.insertion, 0, dtype);
  return expand(zero, shape);
}

/** x inside zeros: the inverse of `slice` along one axis, to a length of `size` again. */
export function padAxis(x: Value, axis: number, start: Value, end: Value, size: Dimension): Value {
  const graph = x.graph.insertion;
  const total = sizeOf(graph, size);
  const clamped = (bound: Value) => min(where(less(bound, 0), add(bound, total), bound), total);
  const pads = concat([clamped(start), sub(total, clamped(end))], 0);
  const shape = x.shape.map((dimension, i) => (i === axis ? size : dimension));
  return one(graph, 'Pad', [x, pads, undefined, integers(graph, [axis])], x.dtype, shape, { mode: 'constant' });
}

/** start, start + step, ... (int64 scalars), of the given length. */
export function range(graph: Graph, start: Value, limit: Value, step: Value, length: Dimension): Value {
  return one(graph.insertion, 'Range', [start, limit, step], start.dtype, [length]);
}
