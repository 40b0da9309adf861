/** Every operator with a gradient: how it is built, and its value in plain arithmetic. */
import type { Graph, Value } from '../../../engine/graph/builder.ts';
import * as op from '../../../engine/graph/operators.ts';
import { attentionMask, fullAttention } from '../../../engine/model/decoder.ts';
import { sequenceSums } from '../../../engine/train/objectives/sequenceSums.ts';
import { gatherRows, HEAD_CHUNK, tokenLogProbs } from '../../../engine/train/tokenLogProbs.ts';
import { TINY } from '../train/randomModel.ts';
import type { OperatorCase } from './checkOperator.ts';

const each =
  (f: (x: number) => number) =>
  ([x]: Float64Array[]) =>
    x!.map(f);
const rows = (x: Float64Array, width: number, f: (row: Float64Array) => ArrayLike<number>) =>
  Array.from({ length: x.length / width }, (_, i) => [...Array.from(f(x.subarray(i * width, (i + 1) * width)))]).flat();
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
const positive = (random: number) => 1.5 + random;
const softmax = (row: Float64Array) => row.map((x) => Math.exp(x) / sum(row.map(Math.exp)));

/** Product of [m, k] and [k, n] given by their elements. */
const product = (
  m: number,
  k: number,
  n: number,
  a: (i: number, j: number) => number,
  b: (i: number, j: number) => number,
) =>
  Array.from({ length: m * n }, (_, at) =>
    sum(Array.from({ length: k }, (_value, j) => a(Math.floor(at / n), j) * b(j, at % n))),
  );
/** Applies a function to each column of a matrix. */
const columns = (x: Float64Array, width: number, f: (column: Float64Array) => Float64Array) => {
  const result = new Float64Array(x.length);
  for (let column = 0; column < width; column++)
    f(x.filter((_, i) => i % width === column)).forEach((value, i) => (result[i * width + column] = value));
  return result;
};

const ATTENTION = { ...TINY, heads: 2, kvHeads: 1, headDim: 2 };
const TEMPERATURE = 0.8;
/** An embedding of 5 tokens: a table of sines. */
const EMBEDDING = Float32Array.from({ length: 15 }, (_, i) => Math.sin(i + 1));
const headOf = (hidden: Value, graph: Graph) =>
  tokenLogProbs(
    hidden,
    graph.constant(EMBEDDING, 'float32', [5, 3]),
    op.integers(
      graph,
      Array.from({ length: HEAD_CHUNK }, (_, i) => (3 * i) % 5),
    ),
    op.scalar(graph, TEMPERATURE),
    op.scalar(graph, 1, 'bool'),
    true,
  );
/** log p of each of the 5 tokens after each row. */
const headLogs = (hidden: Float64Array) =>
  Array.from({ length: HEAD_CHUNK }, (_, row) => {
    const scores = [0, 1, 2, 3, 4].map(
      (token) => sum([0, 1, 2].map((i) => hidden[row * 3 + i]! * EMBEDDING[token * 3 + i]!)) / TEMPERATURE,
    );
    return [...softmax(Float64Array.from(scores)).map(Math.log)];
  });

/** Computed in float64. */
export const OPERATOR_CASES: Record<string, OperatorCase> = {
  add: {
    build: ([a, b]) => op.add(a!, b!),
    shapes: [
      [2, 3],
      [2, 3],
    ],
    forward: ([a, b]) => a!.map((x, i) => x + b![i]!),
  },
  'add, broadcast': {
    build: ([a, b]) => op.add(a!, b!),
    shapes: [[2, 3], [3]],
    forward: ([a, b]) => a!.map((x, i) => x + b![i % 3]!),
  },
  'sub, broadcast to more axes': {
    build: ([a, b]) => op.sub(a!, b!),
    shapes: [[3], [2, 1]],
    forward: ([a, b]) => [...b!].flatMap((y) => [...a!].map((x) => x - y)),
  },
  mul: {
    build: ([a, b]) => op.mul(a!, b!),
    shapes: [
      [2, 3],
      [2, 1],
    ],
    forward: ([a, b]) => a!.map((x, i) => x * b![Math.floor(i / 3)]!),
  },
  'mul by itself': { build: ([a]) => op.mul(a!, a!), shapes: [[4]], forward: each((x) => x * x) },
  div: {
    build: ([a, b]) => op.div(a!, b!),
    shapes: [[4], [4]],
    from: positive,
    forward: ([a, b]) => a!.map((x, i) => x / b![i]!),
  },
  pow: { build: ([a]) => op.pow(a!, 3), shapes: [[4]], forward: each((x) => x ** 3) },
  min: {
    build: ([a, b]) => op.min(a!, b!),
    shapes: [[5], [5]],
    forward: ([a, b]) => a!.map((x, i) => Math.min(x, b![i]!)),
  },
  max: {
    build: ([a, b]) => op.max(a!, b!),
    shapes: [[5], [5]],
    forward: ([a, b]) => a!.map((x, i) => Math.max(x, b![i]!)),
  },
  clip: {
    build: ([a]) => op.clip(a!, -0.5, 0.3),
    shapes: [[8]],
    forward: each((x) => Math.min(Math.max(x, -0.5), 0.3)),
  },
  neg: { build: ([a]) => op.neg(a!), shapes: [[3]], forward: each((x) => -x) },
  exp: { build: ([a]) => op.exp(a!), shapes: [[3]], forward: each(Math.exp) },
  log: { build: ([a]) => op.log(a!), shapes: [[3]], from: positive, forward: each(Math.log) },
  sqrt: { build: ([a]) => op.sqrt(a!), shapes: [[3]], from: positive, forward: each(Math.sqrt) },
  reciprocal: { build: ([a]) => op.reciprocal(a!), shapes: [[3]], from: positive, forward: each((x) => 1 / x) },
  abs: { build: ([a]) => op.abs(a!), shapes: [[4]], forward: each(Math.abs) },
  tanh: { build: ([a]) => op.tanh(a!), shapes: [[3]], forward: each(Math.tanh) },
  sigmoid: { build: ([a]) => op.sigmoid(a!), shapes: [[3]], forward: each((x) => 1 / (1 + Math.exp(-x))) },
  identity: { build: ([a]) => op.identity(a!), shapes: [[3]], forward: each((x) => x) },
  'cast to float64 and back': {
    build: ([a]) => op.cast(op.mul(op.cast(a!, 'float32'), op.cast(a!, 'float32')), a!.dtype),
    shapes: [[3]],
    forward: each((x) => x * x),
    precision: 'float32',
  },
  where: {
    build: ([a, b]) => op.where(op.greater(a!, 0), op.mul(a!, a!), b!),
    shapes: [[5], [5]],
    forward: ([a, b]) => a!.map((x, i) => (x > 0 ? x * x : b![i]!)),
  },
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
  reshape: { build: ([a]) => op.reshape(a!, [3, 2]), shapes: [[2, 3]], forward: each((x) => x) },
  transpose: {
    build: ([a]) => op.transpose(a!, [1, 0]),
    shapes: [[2, 3]],
    forward: ([a]) => [0, 3, 1, 4, 2, 5].map((i) => a![i]!),
  },
  'transpose, three axes': {
    build: ([a]) => op.transpose(a!, [2, 0, 1]),
    shapes: [[2, 3, 2]],
    forward: ([a]) => [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11].map((i) => a![i]!),
  },
  expand: {
    build: ([a]) => op.expand(a!, [2, 3]),
    shapes: [[2, 1]],
    forward: ([a]) => [0, 0, 0, 1, 1, 1].map((i) => a![i]!),
  },
  'expand to more axes': {
    build: ([a]) => op.expand(a!, [2, 2, 3]),
    shapes: [[1, 3]],
    forward: ([a]) => [0, 1, 2, 3].flatMap(() => [...a!]),
  },
  'unsqueeze, squeeze': {
    build: ([a]) => op.squeeze(op.unsqueeze(a!, [0]), [0]),
    shapes: [[3]],
    forward: each((x) => x),
  },
  concat: {
    build: ([a, b]) => op.concat([a!, b!], 1),
    shapes: [
      [2, 1],
      [2, 2],
    ],
    forward: ([a, b]) => [a![0]!, b![0]!, b![1]!, a![1]!, b![2]!, b![3]!],
  },
  'slice, from the end': {
    build: ([a]) => op.slice(a!, 1, 1, -1),
    shapes: [[2, 4]],
    forward: ([a]) => [1, 2, 5, 6].map((i) => a![i]!),
  },
  split: {
    build: ([a]) => {
      const [first, second] = op.split(a!, 0, [2, 1]);
      return op.mul(first!, second!);
    },
    shapes: [[3]],
    forward: ([a]) => [a![0]! * a![2]!, a![1]! * a![2]!],
  },
  'split, a part unused': {
    build: ([a]) => op.mul(op.split(a!, 1, [1, 2, 1])[1]!, 2),
    shapes: [[2, 4]],
    forward: ([a]) => [1, 2, 5, 6].map((i) => 2 * a![i]!),
  },
  'gather, a row twice': {
    build: ([a], graph) => op.gather(a!, op.integers(graph, [2, 0, 2])),
    shapes: [[3, 2]],
    forward: ([a]) => [4, 5, 0, 1, 4, 5].map((i) => a![i]!),
  },
  gatherElements: {
    build: ([a], graph) => op.gatherElements(a!, op.reshape(op.integers(graph, [1, 2]), [2, 1]), 1),
    shapes: [[2, 3]],
    forward: ([a]) => [a![1]!, a![5]!],
  },
  'gatherElements, one twice': {
    build: ([a], graph) => op.gatherElements(a!, op.reshape(op.integers(graph, [1, 0, 1, 2]), [2, 2]), 0),
    shapes: [[3, 2]],
    forward: ([a]) => [2, 1, 2, 5].map((i) => a![i]!),
  },
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
  fullAttention: {
    build: ([query, key, value], graph) => {
      const mask = graph.constant(attentionMask(ATTENTION, 3), 'float32', [3, 3]);
      return fullAttention(ATTENTION, mask)(0, query!, key!, value!);
    },
    shapes: [
      [1, 2, 3, 2],
      [1, 1, 3, 2],
      [1, 1, 3, 2],
    ],
    forward: ([query, key, value]) =>
      [0, 1].flatMap((head) =>
        [0, 1, 2].flatMap((t) => {
          const seen = Array.from({ length: t + 1 }, (_, at) => at);
          const scores = seen.map((at) =>
            sum([0, 1].map((i) => (query![head * 6 + t * 2 + i]! * key![at * 2 + i]!) / Math.SQRT2)),
          );
          const weights = softmax(Float64Array.from(scores));
          return [0, 1].map((i) => sum(seen.map((at) => weights[at]! * value![at * 2 + i]!)));
        }),
      ),
  },
  tokenLogProbs: {
    build: ([hidden], graph) => headOf(hidden!, graph).logProbs,
    shapes: [[HEAD_CHUNK, 3]],
    forward: ([hidden]) => headLogs(hidden!).map((logs, i) => logs[(3 * i) % 5]!),
  },
  entropy: {
    build: ([hidden], graph) => headOf(hidden!, graph).entropy(),
    shapes: [[HEAD_CHUNK, 3]],
    forward: ([hidden]) => headLogs(hidden!).map((logs) => -sum(logs.map((log) => log * Math.exp(log)))),
  },
  gatherRows: {
    build: ([a], graph) => gatherRows(a!, op.integers(graph, [3, 0, 1]), op.integers(graph, [1, 2, 3, 0])),
    shapes: [[4, 2]],
    forward: ([a]) => [6, 7, 0, 1, 2, 3].map((i) => a![i]!),
  },
  sequenceSums: {
    build: ([a], graph) => {
      const indices = op.integers(graph, [0, 0, 1, 0, 1]);
      return sequenceSums(a!, { indices, members: graph.constant(new Float32Array(5).fill(1), 'float32', [5]) });
    },
    shapes: [[5]],
    forward: ([a]) => {
      const [first, second] = [a![0]! + a![1]! + a![3]!, a![2]! + a![4]!];
      return [first, first, second, first, second];
    },
  },
};
