/** Operators that change a shape, or read it. */
import type { Graph, Value } from '../builder.ts';
import { broadcastShapes, factorsOf, formatShape, productOf, sameShape, sumOf } from '../dimensions.ts';
import type { Dimension, Shape } from '../dimensions.ts';
import { integers } from './constants.ts';
import { mul } from './elementwise.ts';
import { axisOf, described, fail, one } from './node.ts';

/** The run-time size of a dimension, int64 [1]. */
export function sizeOf(graph: Graph, dimension: Dimension): Value {
  const { coefficient, symbols } = factorsOf(dimension);
  const sizes = symbols.map((symbol) => {
    const { value, axis } = graph.sourceOfSymbol(symbol);
    return one(graph.insertion, 'Shape', [value], 'int64', [1], { start: axis, end: axis + 1 });
  });
  const parts = coefficient === 1 && sizes.length > 0 ? sizes : [integers(graph.insertion, [coefficient]), ...sizes];
  return parts.reduce((product, size) => mul(product, size));
}

/** Symbolic shapes that a graph has as vectors already. */
const vectors = new WeakMap<Graph, Map<string, Value>>();

/** A shape as an int64 vector; of a symbolic one a graph computes one vector for all its uses. */
export function shapeVector(graph: Graph, shape: Shape): Value {
  const { insertion } = graph;
  if (shape.every((dimension) => typeof dimension === 'number')) return integers(insertion, shape as number[]);
  const known = vectors.get(insertion) ?? new Map<string, Value>();
  vectors.set(insertion, known);
  const key = formatShape(shape);
  let vector = known.get(key);
  if (!vector) {
    const parts = shape.map((dimension) => sizeOf(graph, dimension));
    vector = parts.length === 1 ? parts[0]! : concat(parts, 0);
    known.set(key, vector);
  }
  return vector;
}

/** The same elements in another shape. Symbolic sizes are kept, inferred, or read from the graph's inputs. */
export function reshape(x: Value, shape: Shape): Value {
  const graph = x.graph.insertion;
  if (productOf(x.shape) !== productOf(shape))
    fail('Reshape', `${described(x)} has not the elements of ${formatShape(shape)}`);
  if (sameShape(x.shape, shape)) return x;
  const unknown = shape.filter(
    (dimension, axis) => typeof dimension === 'string' && dimension !== x.shape[axis],
  ).length;
  const target =
    unknown <= 1
      ? integers(
          graph,
          shape.map((dimension, axis) =>
            typeof dimension === 'number' ? dimension : dimension === x.shape[axis] ? 0 : -1,
          ),
        )
      : shapeVector(graph, shape);
  return one(graph, 'Reshape', [x, target], x.dtype, shape);
}

/** x under another, equivalent description of its shape: a promise of the caller, no node. */
export function assumeShape(x: Value, shape: Shape): Value {
  if (shape.length !== x.shape.length)
    fail('assumeShape', `${described(x)} has another rank than ${formatShape(shape)}`);
  return one(x.graph.insertion, 'Identity', [x], x.dtype, shape);
}

export function transpose(x: Value, permutation: readonly number[]): Value {
  const valid = permutation.length === x.shape.length && new Set(permutation).size === permutation.length;
  if (!valid || permutation.some((axis) => x.shape[axis] === undefined))
    fail('Transpose', `[${permutation.join(', ')}] does not permute ${described(x)}`);
  return one(
    x.graph.insertion,
    'Transpose',
    [x],
    x.dtype,
    permutation.map((axis) => x.shape[axis]!),
    { perm: [...permutation] },
  );
}

export function concat(values: readonly Value[], axis: number): Value {
  const first = values[0];
  if (!first) fail('Concat', 'nothing to join');
  const at = axisOf('Concat', first, axis);
  for (const value of values) {
    const fits =
      value.dtype === first.dtype &&
      value.shape.length === first.shape.length &&
      value.shape.every((dimension, i) => i === at || dimension === first.shape[i]);
    if (!fits) fail('Concat', `${described(value)} does not fit ${described(first)} along axis ${at}`);
  }
  const shape = first.shape.map((dimension, i) =>
    i === at ? values.map((value) => value.shape[at]!).reduce(sumOf) : dimension,
  );
  return one(first.graph.insertion, 'Concat', [...values], first.dtype, shape, { axis: at });
}

/** Elements [start, end) along one axis. The length of a slice of a symbolic axis must be said by `length`. */
export function slice(x: Value, axis: number, start: number | Value, end: number | Value, length?: Dimension): Value {
  const graph = x.graph.insertion;
  const at = axisOf('Slice', x, axis);
  const size = x.shape[at]!;
  const known = typeof start === 'number' && typeof end === 'number' && typeof size === 'number';
  const result =
    length ?? (known ? Math.min(end < 0 ? end + size : end, size) - (start < 0 ? start + size : start) : undefined);
  if (result === undefined || (typeof result === 'number' && result < 0))
    fail('Slice', `length of the slice of ${described(x)} along axis ${at} is not known`);
  const bound = (value: number | Value) => (typeof value === 'number' ? integers(graph, [value]) : value);
  const shape = x.shape.map((dimension, i) => (i === at ? result : dimension));
  return one(graph, 'Slice', [x, bound(start), bound(end), integers(graph, [at])], x.dtype, shape);
}

/** Cuts an axis of known size into pieces. */
export function split(x: Value, axis: number, sizes: readonly number[]): Value[] {
  const graph = x.graph.insertion;
  const at = axisOf('Split', x, axis);
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[at])
    fail('Split', `sizes ${sizes.join(' + ')} do not make axis ${at} of ${described(x)}`);
  const outputs = sizes.map((size) => ({
    dtype: x.dtype,
    shape: x.shape.map((dimension, i) => (i === at ? size : dimension)),
  }));
  return graph.node('Split', [x, integers(graph, sizes)], outputs, { axis: at });
}

/** x repeated along dimensions of size 1 (and new leading ones) to the given shape. */
export function expand(x: Value, shape: Shape): Value {
  const result = broadcastShapes(x.shape, shape);
  if (!result || !sameShape(result, shape))
    fail('Expand', `${described(x)} does not broadcast to ${formatShape(shape)}`);
  if (sameShape(x.shape, shape)) return x;
  const graph = x.graph.insertion;
  return one(graph, 'Expand', [x, shapeVector(graph, shape)], x.dtype, shape);
}

/** New axes of size 1 at the given places of the result. */
export function unsqueeze(x: Value, axes: readonly number[]): Value {
  const graph = x.graph.insertion;
  const rank = x.shape.length + axes.length;
  const added = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!));
  return one(
    graph,
    'Unsqueeze',
    [
      x,
      integers(
        graph,
        [...added].sort((a, b) => a - b),
      ),
    ],
    x.dtype,
    shape,
  );
}

/** Drops axes of size 1. */
export function squeeze(x: Value, axes: readonly number[]): Value {
  const graph = x.graph.insertion;
  const dropped = new Set(axes.map((axis) => axisOf('Squeeze', x, axis)));
  for (const axis of dropped) if (x.shape[axis] !== 1) fail('Squeeze', `axis ${axis} of ${described(x)} is not 1`);
  const shape = x.shape.filter((_, axis) => !dropped.has(axis));
  return one(
    graph,
    'Squeeze',
    [
      x,
      integers(
        graph,
        [...dropped].sort((a, b) => a - b),
      ),
    ],
    x.dtype,
    shape,
  );
}
