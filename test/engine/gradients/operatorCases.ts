/** Every operator with a gradient: how it is built, and its value in plain arithmetic. */
import * as op from '../../../engine/graph/operators.ts';
import { elementwise } from './elementwiseCases.ts';
import { handWritten } from './handWrittenCases.ts';
import { shapes } from './shapeCases.ts';
import { columns, each, product, rows, softmax, sum } from './arithmetic.ts';
import type { OperatorCase } from './checkOperator.ts';

/** Computed in float64. */
export const OPERATOR_CASES: Record<string, OperatorCase> = {
  ...elementwise,
  gemm: {
    build: ([a, b, c]) => op.gemm(a!, b!, c!, { transB: true, alpha: 2, beta: 0.5 }),
    shapes: [[2, 3], [2, 3], [2]],
    forward: ([a, b, c]) =>
      [0, 1].flatMap((i) =>
        [0, 1].map((j) => 2 * sum([0, 1, 2].map((k) => a![i * 3 + k]! * b![j * 3 + k]!)) + 0.5 * c![j]!),
      ),
  },
  'gemm, first transposed': {
    build: ([a, b]) => op.gemm(a!, b!, undefined, { transA: true }),
    shapes: [
      [3, 2],
      [3, 4],
    ],
    forward: ([a, b]) =>
      product(
        2,
        3,
        4,
        (i, k) => a![k * 2 + i]!,
        (k, j) => b![k * 4 + j]!,
      ),
  },
  'gemm, both transposed': {
    build: ([a, b, c]) => op.gemm(a!, b!, c!, { transA: true, transB: true }),
    shapes: [
      [3, 2],
      [4, 3],
      [2, 1],
    ],
    forward: ([a, b, c]) =>
      product(
        2,
        3,
        4,
        (i, k) => a![k * 2 + i]!,
        (k, j) => b![j * 3 + k]!,
      ).map((x, i) => x + c![Math.floor(i / 4)]!),
  },
  'gemm, none transposed': {
    build: ([a, b]) => op.gemm(a!, b!),
    shapes: [
      [2, 3],
      [3, 2],
    ],
    forward: ([a, b]) =>
      product(
        2,
        3,
        2,
        (i, k) => a![i * 3 + k]!,
        (k, j) => b![k * 2 + j]!,
      ),
  },
  softmax: { build: ([a]) => op.softmax(a!), shapes: [[2, 4]], forward: ([a]) => rows(a!, 4, softmax) },
  'softmax, first axis': {
    build: ([a]) => op.softmax(a!, 0),
    shapes: [[3, 2]],
    forward: ([a]) => columns(a!, 2, softmax),
  },
  logSoftmax: {
    build: ([a]) => op.logSoftmax(a!),
    shapes: [[2, 4]],
    forward: ([a]) => rows(a!, 4, (row) => softmax(row).map(Math.log)),
  },
  'logSoftmax, first axis': {
    build: ([a]) => op.logSoftmax(a!, 0),
    shapes: [[3, 2]],
    forward: ([a]) => columns(a!, 2, (column) => softmax(column).map(Math.log)),
  },
  reduceSum: {
    build: ([a]) => op.reduceSum(a!, [1]),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => [sum(row)]),
  },
  'reduceSum, two axes': {
    build: ([a]) => op.reduceSum(a!, [0, 2]),
    shapes: [[2, 3, 2]],
    forward: ([a]) => [0, 1, 2].map((i) => a![2 * i]! + a![2 * i + 1]! + a![6 + 2 * i]! + a![7 + 2 * i]!),
  },
  reduceMean: {
    build: ([a]) => op.reduceMean(a!, [0]),
    shapes: [[2, 3]],
    forward: ([a]) => [0, 1, 2].map((i) => (a![i]! + a![3 + i]!) / 2),
  },
  'reduceMean, axes kept': {
    build: ([a]) => op.reduceMean(a!, [1], true),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => [sum(row) / 3]),
  },
  reduceMax: {
    build: ([a]) => op.reduceMax(a!, [1]),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => [Math.max(...row)]),
  },
  reduceMin: {
    build: ([a]) => op.reduceMin(a!, [1]),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => [Math.min(...row)]),
  },
  'reduceMax, equal ones': {
    build: ([a]) => op.reduceMax(op.concat([a!, a!], 0), [0]),
    shapes: [[3]],
    forward: ([a]) => [Math.max(...a!)],
  },
  reduceSumSquare: {
    build: ([a]) => op.reduceSumSquare(a!, [1]),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => [sum(row.map((x) => x * x))]),
  },
  reduceLogSumExp: {
    build: ([a]) => op.reduceLogSumExp(a!, [1]),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => [Math.log(sum(row.map(Math.exp)))]),
  },
  cumSum: {
    build: ([a]) => op.cumSum(a!, 1),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => row.map((_, i) => sum(row.slice(0, i + 1)))),
  },
  'cumSum, reverse': {
    build: ([a]) => op.cumSum(a!, 0, { reverse: true }),
    shapes: [[3, 2]],
    forward: ([a]) => columns(a!, 2, (column) => column.map((_, i) => sum(column.slice(i)))),
  },
  'cumSum, exclusive and reverse': {
    build: ([a]) => op.cumSum(a!, 1, { exclusive: true, reverse: true }),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => row.map((_, i) => sum(row.slice(i + 1)))),
  },
  'cumSum, exclusive': {
    build: ([a]) => op.cumSum(a!, 1, { exclusive: true }),
    shapes: [[2, 3]],
    forward: ([a]) => rows(a!, 3, (row) => row.map((_, i) => sum(row.slice(0, i)))),
  },
  ...shapes,
  'a value used twice': {
    build: ([a]) => op.add(op.exp(a!), op.mul(a!, 3)),
    shapes: [[3]],
    forward: each((x) => Math.exp(x) + 3 * x),
  },
  'a value computed again': {
    build: ([a]) => op.mul(op.recompute(op.exp(op.recompute(op.mul(a!, 2)))), a!),
    shapes: [[3]],
    forward: each((x) => Math.exp(2 * x) * x),
  },
  'without gradient': {
    build: ([a]) => op.mul(a!, op.add(op.mul(op.stopGradient(a!), 0), 2)),
    shapes: [[3]],
    forward: each((x) => 2 * x),
  },
};

/** Those whose kernels know float32 only, and the parts of the model with gradients written by hand. */
export const FLOAT32_CASES: Record<string, OperatorCase> = {
  silu: { build: ([a]) => op.silu(a!), shapes: [[4]], forward: each((x) => x / (1 + Math.exp(-x))) },
  'matmul, batch by matrix, transposed': {
    build: ([a, b]) => op.matmul(a!, b!, { transB: true, alpha: 0.5 }),
    shapes: [
      [2, 2, 3],
      [2, 3],
    ],
    forward: ([a, b]) =>
      [0, 1, 2, 3].flatMap((i) => [0, 1].map((j) => 0.5 * sum([0, 1, 2].map((k) => a![i * 3 + k]! * b![j * 3 + k]!)))),
  },
  'matmul, batched, first transposed': {
    build: ([a, b]) => op.matmul(a!, b!, { transA: true }),
    shapes: [
      [2, 3, 1],
      [2, 3, 2],
    ],
    forward: ([a, b]) =>
      [0, 1].flatMap((n) => [0, 1].map((j) => sum([0, 1, 2].map((k) => a![n * 3 + k]! * b![n * 6 + k * 2 + j]!)))),
  },
  'matmul, none transposed': {
    build: ([a, b]) => op.matmul(a!, b!),
    shapes: [
      [2, 2, 3],
      [2, 3, 1],
    ],
    forward: ([a, b]) =>
      [0, 1].flatMap((n) =>
        product(
          2,
          3,
          1,
          (i, k) => a![n * 6 + i * 3 + k]!,
          (k) => b![n * 3 + k]!,
        ),
      ),
  },
  'matmul, both transposed': {
    build: ([a, b]) => op.matmul(a!, b!, { transA: true, transB: true, alpha: 2 }),
    shapes: [
      [2, 3, 2],
      [2, 2, 3],
    ],
    forward: ([a, b]) =>
      [0, 1].flatMap((n) =>
        product(
          2,
          3,
          2,
          (i, k) => 2 * a![n * 6 + k * 2 + i]!,
          (k, j) => b![n * 6 + j * 3 + k]!,
        ),
      ),
  },
  rmsNorm: {
    build: ([a, scale]) => op.rmsNorm(a!, scale!, 1e-5).normalized,
    shapes: [[2, 4], [4]],
    forward: ([a, scale]) =>
      rows(a!, 4, (row) => row.map((x, i) => (x * scale![i]!) / Math.sqrt(sum(row.map((y) => y * y)) / 4 + 1e-5))),
  },
  rotaryEmbedding: {
    build: ([a], graph) => {
      const angles = [0.3, 1.1, 0.6, 2.2];
      const table = (f: (x: number) => number) => graph.constant(Float32Array.from(angles.map(f)), 'float32', [2, 2]);
      return op.rotaryEmbedding(a!, op.integers(graph, [0]), table(Math.cos), table(Math.sin));
    },
    shapes: [[1, 1, 2, 4]],
    forward: ([a]) =>
      [0, 1].flatMap((position) => {
        const [c, s] = [
          [0.3, 1.1, 0.6, 2.2].slice(position * 2, position * 2 + 2).map(Math.cos),
          [0.3, 1.1, 0.6, 2.2].slice(position * 2, position * 2 + 2).map(Math.sin),
        ];
        const x = a!.subarray(position * 4, position * 4 + 4);
        return [
          x[0]! * c[0]! - x[2]! * s[0]!,
          x[1]! * c[1]! - x[3]! * s[1]!,
          x[2]! * c[0]! + x[0]! * s[0]!,
          x[3]! * c[1]! + x[1]! * s[1]!,
        ];
      }),
  },
  ...handWritten,
};
