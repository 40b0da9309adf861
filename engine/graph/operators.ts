import type { Attribute, DataType, Graph, Value } from './builder.ts';
import type { Dimension, Shape } from './dimensions.ts';
import { broadcastShapes, factorsOf, formatShape, productOf, sameShape, sumOf } from './dimensions.ts';

/**
 * One function per operator. Each checks types and shapes, adds its node where the model's insertion point is, and returns the new value(s).
 * A number in place of a value stands for a scalar constant of the other operand's type. Gradients: gradients.ts.
 */
export type Operand = Value | number;

const MICROSOFT = 'com.microsoft';

function fail(operator: string, message: string): never {
  throw new TypeError(`${operator}: ${message}`);
}

const described = (value: Value) => `${value.name} (${value.dtype} ${formatShape(value.shape)})`;

function one(
  graph: Graph,
  operator: string,
  inputs: (Value | undefined)[],
  dtype: DataType,
  shape: Shape,
  attributes: Record<string, Attribute> = {},
  domain = '',
): Value {
  return graph.node(operator, inputs, [{ dtype, shape }], attributes, domain)[0]!;
}

function axisOf(operator: string, value: Value, axis: number): number {
  const rank = value.shape.length;
  const positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) fail(operator, `axis ${axis} is outside ${described(value)}`);
  return positive;
}

/** A scalar constant, shape []. */
export function scalar(graph: Graph, value: number, dtype: DataType = 'float32'): Value {
  switch (dtype) {
    case 'float32':
      return graph.constant(Float32Array.of(value), dtype, []);
    case 'float64':
      return graph.constant(Float64Array.of(value), dtype, []);
    case 'int32':
      return graph.constant(Int32Array.of(value), dtype, []);
    case 'int64':
      return graph.constant(BigInt64Array.of(BigInt(value)), dtype, []);
    case 'bool':
      return graph.constant(Uint8Array.of(value ? 1 : 0), dtype, []);
    case 'float16':
      return cast(scalar(graph, value), 'float16');
  }
}

/** A 1-D int64 constant. */
export function integers(graph: Graph, values: readonly number[]): Value {
  return graph.constant(BigInt64Array.from(values.map(BigInt)), 'int64', [values.length]);
}

// --- elementwise ---------------------------------------------------------------------------------------------------------------------------

function binary(operator: string, a: Operand, b: Operand, resultType?: DataType): Value {
  const value = typeof a === 'number' ? b : a;
  if (typeof value === 'number') fail(operator, 'at least one operand must be a tensor');
  const graph = value.graph.insertion;
  const left = typeof a === 'number' ? scalar(graph, a, value.dtype) : a;
  const right = typeof b === 'number' ? scalar(graph, b, value.dtype) : b;
  if (left.dtype !== right.dtype) fail(operator, `types differ: ${described(left)}, ${described(right)}`);
  const shape = broadcastShapes(left.shape, right.shape);
  if (!shape) fail(operator, `shapes do not broadcast: ${described(left)}, ${described(right)}`);
  return one(graph, operator, [left, right], resultType ?? left.dtype, shape);
}

export const add = (a: Operand, b: Operand) => binary('Add', a, b);
export const sub = (a: Operand, b: Operand) => binary('Sub', a, b);
export const mul = (a: Operand, b: Operand) => binary('Mul', a, b);
export const div = (a: Operand, b: Operand) => binary('Div', a, b);
export const min = (a: Operand, b: Operand) => binary('Min', a, b);
export const max = (a: Operand, b: Operand) => binary('Max', a, b);
/** a to a constant power. */
export const pow = (a: Value, exponent: number) => binary('Pow', a, exponent);
export const less = (a: Operand, b: Operand) => binary('Less', a, b, 'bool');
export const lessOrEqual = (a: Operand, b: Operand) => binary('LessOrEqual', a, b, 'bool');
export const greater = (a: Operand, b: Operand) => binary('Greater', a, b, 'bool');
export const greaterOrEqual = (a: Operand, b: Operand) => binary('GreaterOrEqual', a, b, 'bool');
export const equal = (a: Operand, b: Operand) => binary('Equal', a, b, 'bool');
export const and = (a: Value, b: Value) => binary('And', a, b, 'bool');
export const or = (a: Value, b: Value) => binary('Or', a, b, 'bool');

function unary(operator: string, x: Value, attributes: Record<string, Attribute> = {}, domain = ''): Value {
  return one(x.graph.insertion, operator, [x], x.dtype, x.shape, attributes, domain);
}

export const neg = (x: Value) => unary('Neg', x);
export const exp = (x: Value) => unary('Exp', x);
export const log = (x: Value) => unary('Log', x);
export const sqrt = (x: Value) => unary('Sqrt', x);
export const reciprocal = (x: Value) => unary('Reciprocal', x);
export const abs = (x: Value) => unary('Abs', x);
export const sign = (x: Value) => unary('Sign', x);
export const floor = (x: Value) => unary('Floor', x);
export const sigmoid = (x: Value) => unary('Sigmoid', x);
export const tanh = (x: Value) => unary('Tanh', x);
export const identity = (x: Value) => unary('Identity', x);
export const not = (x: Value) => unary('Not', x);
/** x sigmoid(x), in one pass. */
export const silu = (x: Value) => unary('QuickGelu', x, { alpha: { float: 1 } }, MICROSOFT);

/** x, seen as a constant by differentiation. */
export function stopGradient(x: Value): Value {
  const value = identity(x);
  x.graph.insertion.composite('StopGradient', [x], [value], () => [undefined]);
  return value;
}

/** x, which differentiation is to compute again rather than keep (Graph.recompute). */
export function recompute(x: Value): Value {
  x.graph.recompute(x);
  return x;
}

export function cast(x: Value, dtype: DataType): Value {
  if (x.dtype === dtype) return x;
  const codes: Record<DataType, number> = { float32: 1, int32: 6, int64: 7, bool: 9, float16: 10, float64: 11 };
  return one(x.graph.insertion, 'Cast', [x], dtype, x.shape, { to: codes[dtype] });
}

/** Elementwise choice, broadcasting. */
export function where(condition: Value, a: Operand, b: Operand): Value {
  const graph = condition.graph.insertion;
  const type = typeof a !== 'number' ? a.dtype : typeof b !== 'number' ? b.dtype : 'float32';
  const left = typeof a === 'number' ? scalar(graph, a, type) : a;
  const right = typeof b === 'number' ? scalar(graph, b, type) : b;
  if (condition.dtype !== 'bool') fail('Where', `the condition must be bool, not ${described(condition)}`);
  if (left.dtype !== right.dtype) fail('Where', `types differ: ${described(left)}, ${described(right)}`);
  const branches = broadcastShapes(left.shape, right.shape);
  const shape = branches && broadcastShapes(condition.shape, branches);
  if (!shape) fail('Where', `shapes do not broadcast: ${[condition, left, right].map(described).join(', ')}`);
  return one(graph, 'Where', [condition, left, right], type, shape);
}

/** x limited to [low, high]. */
export const clip = (x: Value, low: number, high: number) => min(max(x, low), high);

// --- products ------------------------------------------------------------------------------------------------------------------------------

/**
 * alpha * op(a) op(b), batched over leading dimensions (broadcast), op = transpose of the last two axes if asked. A 2-D `b` is one matrix for
 * all rows of `a`: a linear layer is `matmul(x, weight, { transB: true })` with the weight as `[out, in]`.
 */
export function matmul(
  a: Value,
  b: Value,
  options: { transA?: boolean; transB?: boolean; alpha?: number } = {},
): Value {
  const operator = 'FusedMatMul';
  if (a.dtype !== b.dtype) fail(operator, `types differ: ${described(a)}, ${described(b)}`);
  if (a.shape.length < 2 || b.shape.length < 2) fail(operator, `needs matrices: ${described(a)}, ${described(b)}`);
  const [m, k] = options.transA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [inner, n] = options.transB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (k !== inner || !batch) {
    fail(
      operator,
      `shapes do not fit: ${described(a)}${options.transA ? ' transposed' : ''}, ${described(b)}${options.transB ? ' transposed' : ''}`,
    );
  }
  const attributes = {
    transA: options.transA ? 1 : 0,
    transB: options.transB ? 1 : 0,
    alpha: { float: options.alpha ?? 1 },
  };
  return one(a.graph.insertion, operator, [a, b], a.dtype, [...batch, m, n], attributes, MICROSOFT);
}

/** alpha * op(a) op(b) + beta * c for matrices; c broadcasts to the result. */
export function gemm(
  a: Value,
  b: Value,
  c?: Value,
  options: { transA?: boolean; transB?: boolean; alpha?: number; beta?: number } = {},
): Value {
  if (a.shape.length !== 2 || b.shape.length !== 2) fail('Gemm', `needs matrices: ${described(a)}, ${described(b)}`);
  if (a.dtype !== b.dtype || (c && c.dtype !== a.dtype))
    fail('Gemm', `types differ: ${[a, b, ...(c ? [c] : [])].map(described).join(', ')}`);
  const [m, k] = options.transA ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!];
  const [inner, n] = options.transB ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!];
  if (k !== inner)
    fail(
      'Gemm',
      `shapes do not fit: ${described(a)}${options.transA ? ' transposed' : ''}, ${described(b)}${options.transB ? ' transposed' : ''}`,
    );
  if (c && !sameShape(broadcastShapes(c.shape, [m, n]) ?? [], [m, n]))
    fail('Gemm', `${described(c)} does not broadcast to ${formatShape([m, n])}`);
  const attributes = {
    transA: options.transA ? 1 : 0,
    transB: options.transB ? 1 : 0,
    alpha: { float: options.alpha ?? 1 },
    beta: { float: options.beta ?? 1 },
  };
  return one(a.graph.insertion, 'Gemm', c ? [a, b, c] : [a, b], a.dtype, [m, n], attributes);
}

// --- along an axis -------------------------------------------------------------------------------------------------------------------------

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

// --- normalisation, position ---------------------------------------------------------------------------------------------------------------

/** x / sqrt(mean(x^2) + epsilon) * scale over the last axis, and 1 / sqrt(mean(x^2) + epsilon), last dimension 1. */
export function rmsNorm(x: Value, scale: Value, epsilon: number): { normalized: Value; inverseDeviation: Value } {
  const operator = 'SimplifiedLayerNormalization';
  if (scale.shape.length !== 1 || scale.shape[0] !== x.shape.at(-1))
    fail(operator, `${described(scale)} is no scale for ${described(x)}`);
  const outputs = [
    { dtype: x.dtype, shape: x.shape },
    { dtype: 'float32' as const, shape: [...x.shape.slice(0, -1), 1] },
  ];
  const [normalized, inverseDeviation] = x.graph.insertion.node(operator, [x, scale], outputs, {
    axis: -1,
    epsilon: { float: epsilon },
    stash_type: 1,
  });
  return { normalized: normalized!, inverseDeviation: inverseDeviation! };
}

/**
 * Rotary position embedding, the two halves of a head turned against each other (Llama's layout).
 * x is [batch, heads, sequence, headDim]; positions [batch, sequence] (int64), or [1] = position of the first token, counting up; cos and sin
 * [positions, headDim / 2].
 */
export function rotaryEmbedding(x: Value, positions: Value, cos: Value, sin: Value): Value {
  const operator = 'RotaryEmbedding';
  if (x.shape.length !== 4) fail(operator, `${described(x)} is not [batch, heads, sequence, headDim]`);
  if (!sameShape(cos.shape, sin.shape) || cos.shape.length !== 2)
    fail(operator, `cos ${described(cos)}, sin ${described(sin)}`);
  if (typeof x.shape[3] === 'number' && cos.shape[1] !== x.shape[3] / 2)
    fail(operator, `${described(cos)} does not fit ${described(x)}`);
  return one(x.graph.insertion, operator, [x, positions, cos, sin], x.dtype, x.shape, { interleaved: 0 }, MICROSOFT);
}

// --- shape ---------------------------------------------------------------------------------------------------------------------------------

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

/** A shape as an int64 vector. */
export function shapeVector(graph: Graph, shape: Shape): Value {
  if (shape.every((dimension) => typeof dimension === 'number')) return integers(graph.insertion, shape as number[]);
  const parts = shape.map((dimension) => sizeOf(graph, dimension));
  return parts.length === 1 ? parts[0]! : concat(parts, 0);
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

// --- indexing ------------------------------------------------------------------------------------------------------------------------------

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

// --- control -------------------------------------------------------------------------------------------------------------------------------

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
