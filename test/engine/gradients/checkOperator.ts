/** Checks an operator's value and gradient: against plain arithmetic, against central differences, and against PyTorch's stored numbers. */
import { expect } from 'vitest';
import { Graph } from '../../../engine/graph/builder.ts';
import type { Shape, Value } from '../../../engine/graph/builder.ts';
import { gradients } from '../../../engine/graph/gradients.ts';
import { openSession } from '../../../engine/session/session.ts';
import { pseudoRandom } from '../train/randomModel.ts';

export interface OperatorCase {
  build: (inputs: Value[], graph: Graph) => Value;
  shapes: number[][];
  /** Elements of the inputs, from numbers in [-1, 1). */
  from?: (random: number) => number;
  /** The expected output, from the inputs' elements. */
  forward: (inputs: Float64Array[]) => ArrayLike<number>;
  /** Where a float64 graph computes in float32 all the same. */
  precision?: 'float32';
}

/** Inputs, seed, output and gradients of sum(seed * y), as PyTorch computed them. */
export interface StoredNumbers {
  inputs: Float64Array[];
  seed: Float64Array;
  y: Float64Array;
  gradients: Float64Array[];
}

/**
 * Runs a graph of one operator in float64 (float32 where the kernel has no other). On random inputs the output must be the expected one and every
 * input's gradient of sum(seed * y) the central difference; on the stored inputs both must be PyTorch's.
 */
export async function checkOperator(
  { build, shapes, from = (random) => random, forward, precision }: OperatorCase,
  stored: StoredNumbers,
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
  const seedValues = Float64Array.from({ length: size(y.shape) }, () => random());
  const seed = graph.input('seed', dtype, y.shape);
  gradients([{ value: y, seed }], inputs).forEach((gradient, i) => graph.output(`dx${i}`, gradient!));
  graph.output('y', y);
  const session = await openSession(graph, { threads: 1, device: 'cpu' });
  const run = (at: readonly Float64Array[], seeds: Float64Array = seedValues) =>
    session.run({
      seed: { data: array(seeds), shape: y.shape as number[] },
      ...Object.fromEntries(at.map((x, i) => [`x${i}`, { data: array(x), shape: shapes[i]! }])),
    });
  const exact = dtype === 'float64' && precision === undefined;
  const expectClose = (actual: ArrayLike<number>, expected: ArrayLike<number>, digits: number, what: string) => {
    expect(actual.length, what).toBe(expected.length);
    for (let i = 0; i < expected.length; i++) expect(actual[i], `${what}[${i}]`).toBeCloseTo(expected[i]!, digits);
  };
  const dataOf = (result: Awaited<ReturnType<typeof run>>, name: string) => result[name]!.data as Float64Array;

  const outputs = await run(values);
  expectClose(dataOf(outputs, 'y'), forward(values), exact ? 9 : 5, 'y');

  const step = exact ? 1e-5 : 1e-2;
  const total = (result: Awaited<ReturnType<typeof run>>) =>
    dataOf(result, 'y').reduce((sum: number, value: number, i: number) => sum + value * seedValues[i]!, 0);
  for (const [i, x] of values.entries()) {
    expect(outputs[`dx${i}`]!.shape).toEqual(shapes[i]);
    for (let element = 0; element < x.length; element++) {
      const at = (difference: number) =>
        values.map((other, j) => (j === i ? other.with(element, other[element]! + difference) : other));
      const slope = (total(await run(at(step))) - total(await run(at(-step)))) / (2 * step);
      expect(dataOf(outputs, `dx${i}`)[element], `d x${i}[${element}]`).toBeCloseTo(slope, exact ? 7 : 2);
    }
  }

  const again = await run(stored.inputs, stored.seed);
  expectClose(dataOf(again, 'y'), stored.y, exact ? 12 : 5, "PyTorch's y");
  for (const [i, gradient] of stored.gradients.entries())
    expectClose(dataOf(again, `dx${i}`), gradient, exact ? 12 : 5, `PyTorch's d x${i}`);
  await session.release();
}
