import { describe, expect, it } from 'vitest';
import { Graph } from '../../../engine/graph/builder.ts';
import type { Shape, Value } from '../../../engine/graph/builder.ts';
import { gradients } from '../../../engine/graph/gradients.ts';
import * as op from '../../../engine/graph/operators.ts';
import { openSession } from '../../../engine/session/session.ts';
import { pseudoRandom } from '../train/randomModel.ts';

type Build = (inputs: Value[], graph: Graph) => Value;

interface Case {
  build: Build;
  shapes: number[][];
  /** Elements of the inputs, from numbers in [-1, 1). */
  from?: (random: number) => number;
  /** The expected output, from the inputs' elements. */
  forward: (inputs: Float64Array[]) => ArrayLike<number>;
}

/**
 * Runs a graph of one operator in float64 (float32 where the kernel has no other), compares the output with the expected one and every input's
 * gradient of sum(seed * y) with central differences.
 */
async function check(
  { build, shapes, from = (random) => random, forward }: Case,
  dtype: 'float32' | 'float64' = 'float64',
): Promise<void> {
  const random = pseudoRandom(3);
  const size = (shape: Shape) => shape.reduce<number>((product, dimension) => product * (dimension as number), 1);
  const array = (values: ArrayLike<number>) =>
    dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values);
  const values = shapes.map((shape) =>
    Float64Array.from(array(Array.from({ length: size(shape) }, () => from(random())))),
  );

  const graph = new Graph('operator');
  const inputs = shapes.map((shape, i) => graph.input(`x${i}`, dtype, shape));
  const y = build(inputs, graph);
  const seedValues = Array.from({ length: size(y.shape) }, () => random());
  const seed = graph.input('seed', dtype, y.shape);
  gradients([{ value: y, seed }], inputs).forEach((gradient, i) => graph.output(`dx${i}`, gradient!));
  graph.output('y', y);
  const session = await openSession(graph, { threads: 1, device: 'cpu' });
  const run = (at: Float64Array[]) =>
    session.run({
      seed: { data: array(seedValues), shape: y.shape as number[] },
      ...Object.fromEntries(at.map((x, i) => [`x${i}`, { data: array(x), shape: shapes[i]! }])),
    });

  const outputs = await run(values);
  const precision = dtype === 'float64' ? 9 : 5;
  const expected = forward(values);
  expect(outputs['y']!.data.length).toBe(expected.length);
  Array.from(outputs['y']!.data as Float64Array).forEach((value, i) =>
    expect(value).toBeCloseTo(expected[i]!, precision),
  );

  const step = dtype === 'float64' ? 1e-5 : 1e-2;
  const total = (result: Awaited<ReturnType<typeof run>>) =>
    Array.from(result['y']!.data as Float64Array).reduce((sum, value, i) => sum + value * seedValues[i]!, 0);
  for (const [i, x] of values.entries()) {
    const gradient = outputs[`dx${i}`]!;
    expect(gradient.shape).toEqual(shapes[i]);
    for (let element = 0; element < x.length; element++) {
      const at = (difference: number) =>
        values.map((other, j) => (j === i ? other.with(element, other[element]! + difference) : other));
      const slope = (total(await run(at(step))) - total(await run(at(-step)))) / (2 * step);
      expect(Number(gradient.data[element]), `d x${i}[${element}]`).toBeCloseTo(slope, dtype === 'float64' ? 7 : 2);
    }
  }
  await session.release();
}

const each =
  (f: (x: number) => number) =>
  ([x]: Float64Array[]) =>
    x!.map(f);
const rows = (x: Float64Array, width: number, f: (row: Float64Array) => ArrayLike<number>) =>
  Array.from({ length: x.length / width }, (_, i) => [...Array.from(f(x.subarray(i * width, (i + 1) * width)))]).flat();
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
const positive = (random: number) => 1.5 + random;
const softmax = (row: Float64Array) => row.map((x) => Math.exp(x) / sum(row.map(Math.exp)));

describe('operators: value against plain arithmetic, gradient against central differences', () => {
  const cases: Record<string, Case> = {
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
    softmax: { build: ([a]) => op.softmax(a!), shapes: [[2, 4]], forward: ([a]) => rows(a!, 4, softmax) },
    logSoftmax: {
      build: ([a]) => op.logSoftmax(a!),
      shapes: [[2, 4]],
      forward: ([a]) => rows(a!, 4, (row) => softmax(row).map(Math.log)),
    },
    reduceSum: {
      build: ([a]) => op.reduceSum(a!, [1]),
      shapes: [[2, 3]],
      forward: ([a]) => rows(a!, 3, (row) => [sum(row)]),
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
    expand: {
      build: ([a]) => op.expand(a!, [2, 3]),
      shapes: [[2, 1]],
      forward: ([a]) => [0, 0, 0, 1, 1, 1].map((i) => a![i]!),
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
  it.each(Object.keys(cases))('%s', (name) => check(cases[name]!));

  const single: Record<string, Case> = {
    silu: { build: ([a]) => op.silu(a!), shapes: [[4]], forward: each((x) => x / (1 + Math.exp(-x))) },
    'matmul, batch by matrix, transposed': {
      build: ([a, b]) => op.matmul(a!, b!, { transB: true, alpha: 0.5 }),
      shapes: [
        [2, 2, 3],
        [2, 3],
      ],
      forward: ([a, b]) =>
        [0, 1, 2, 3].flatMap((i) =>
          [0, 1].map((j) => 0.5 * sum([0, 1, 2].map((k) => a![i * 3 + k]! * b![j * 3 + k]!))),
        ),
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
  };
  it.each(Object.keys(single))('%s (float32 kernel)', (name) => check(single[name]!, 'float32'));
});

describe('differentiation', () => {
  it('keeps rows apart where asked, and their sum is the whole gradient', async () => {
    const graph = new Graph('rows');
    const x = graph.input('x', 'float32', ['batch', 2, 3]);
    const w = graph.input('w', 'float32', [4, 3]);
    const seed = graph.input('seed', 'float32', ['batch', 2, 4]);
    const y = op.matmul(x, w, { transB: true });
    const [apart] = gradients([{ value: y, seed }], [w], { keepRows: new Set([w]) });
    const [whole] = gradients([{ value: y, seed }], [w]);
    expect(apart!.shape).toEqual(['batch', 4, 3]);
    graph.output('apart', apart!);
    graph.output('whole', whole!);
    const session = await openSession(graph, { threads: 1, device: 'cpu' });
    const random = pseudoRandom(5);
    const tensor = (...shape: number[]) => ({
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, random),
      shape,
    });
    const result = await session.run({ x: tensor(2, 2, 3), w: tensor(4, 3), seed: tensor(2, 2, 4) });
    const rowsApart = result['apart']!.data as Float32Array;
    (result['whole']!.data as Float32Array).forEach((value, i) =>
      expect(value).toBeCloseTo(rowsApart[i]! + rowsApart[12 + i]!, 6),
    );
    await session.release();
  });

  it('gives no gradient to a value that nothing depends on', () => {
    const graph = new Graph('independent');
    const [x, other] = [graph.input('x', 'float32', [2]), graph.input('other', 'float32', [2])];
    expect(gradients([{ value: op.mul(x, 2), seed: op.zeros(graph, [2]) }], [other])).toEqual([undefined]);
  });

  it('names an operator without a rule', () => {
    const graph = new Graph('rule');
    const x = graph.input('x', 'float32', [2]);
    const [odd] = graph.node('Erf', [x], [{ dtype: 'float32', shape: [2] }]);
    expect(() => gradients([{ value: odd!, seed: x }], [x])).toThrow(/no rule for operator Erf/);
  });
});
