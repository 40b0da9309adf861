/** Matrix products. */
import type { Value } from '../builder.ts';
import { broadcastShapes, formatShape, sameShape } from '../dimensions.ts';
import { MICROSOFT, described, fail, one } from './node.ts';

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

/** a b by the standard operator: for providers without FusedMatMul (graph/providers.ts). No gradient rule. */
export function plainMatmul(a: Value, b: Value): Value {
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!batch || a.shape.at(-1) !== b.shape.at(-2))
    fail('MatMul', `shapes do not fit: ${described(a)}, ${described(b)}`);
  return one(a.graph.insertion, 'MatMul', [a, b], a.dtype, [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
}

/** A matrix [out, in] in blocks of 8-bit numbers along `in`: (values - 128) * scales. */
export interface EightBitMatrix {
  /** uint8 [out, blocks, block] */
  values: Value;
  /** float32 [out, blocks] */
  scales: Value;
}

/**
 * x W' with W in 8 bits: x [..., in] to [..., out]. Rows of x are rounded to 8 bits a block too (accuracy level 4), products are summed as integers.
 * No gradient rule.
 */
export function matmul8Bit(x: Value, { values, scales }: EightBitMatrix): Value {
  const operator = 'MatMulNBits';
  const [out, blocks, block] = values.shape as [number, number, number];
  if (x.shape.at(-1) !== blocks * block)
    fail(operator, `${described(x)} does not fit ${out} rows of ${blocks} x ${block}`);
  const attributes = { K: blocks * block, N: out, bits: 8, block_size: block, accuracy_level: 4 };
  const shape = [...x.shape.slice(0, -1), out];
  return one(x.graph.insertion, operator, [x, values, scales], x.dtype, shape, attributes, MICROSOFT);
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
