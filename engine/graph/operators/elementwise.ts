/** Operators that work element by element, broadcasting. */
import type { DataType, Value } from '../builder.ts';
import { broadcastShapes } from '../dimensions.ts';
import { DATA_TYPE_CODES } from '../onnxProto.ts';
import { scalar } from './constants.ts';
import { MICROSOFT, described, fail, one, unary } from './node.ts';
import type { Operand } from './node.ts';

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

export const neg = (x: Value) => unary('Neg', x);
export const exp = (x: Value) => unary('Exp', x);
export const log = (x: Value) => unary('Log', x);
export const sqrt = (x: Value) => unary('Sqrt', x);
export const reciprocal = (x: Value) => unary('Reciprocal', x);
export const abs = (x: Value) => unary('Abs', x);
export const sign = (x: Value) => unary('Sign', x);
export const floor = (x: Value) => unary('Floor', x);
/** To the nearest whole number, halves to the even one. */
export const round = (x: Value) => unary('Round', x);
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
  return one(x.graph.insertion, 'Cast', [x], dtype, x.shape, { to: DATA_TYPE_CODES[dtype] });
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
