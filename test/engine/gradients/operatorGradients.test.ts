import { glob, readFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { Graph } from '../../../engine/graph/builder.ts';
import { RULES } from '../../../engine/graph/gradientRules.ts';
import { gradients } from '../../../engine/graph/gradients.ts';
import * as op from '../../../engine/graph/operators.ts';
import { openSession } from '../../../engine/session/session.ts';
import { describeCases, goldenArrays } from '../../reference/golden.ts';
import { pseudoRandom } from '../train/randomModel.ts';
import { checkOperator } from './checkOperator.ts';
import type { StoredNumbers } from './checkOperator.ts';
import { FLOAT32_CASES, OPERATOR_CASES } from './operatorCases.ts';

interface OperatorNumbers {
  operators: Record<string, { inputs: number[][]; output: number[] }>;
}

describeCases<OperatorNumbers>('operators', 'value and gradient of every operator', (golden) => {
  const all = { ...OPERATOR_CASES, ...FLOAT32_CASES };

  /** One array holds all inputs, the seed, the output and the gradients, one after another. */
  async function storedNumbers(name: string): Promise<StoredNumbers> {
    const shapes = golden.info.operators[name]!;
    const file = await goldenArrays(golden);
    const joined = await file.read(name);
    await file.close();
    let end = 0;
    const next = (shape: readonly number[]) => {
      const start = end;
      end += shape.reduce((product, dimension) => product * dimension, 1);
      return joined.slice(start, end);
    };
    const inputs = shapes.inputs.map(next);
    return { inputs, seed: next(shapes.output), y: next(shapes.output), gradients: shapes.inputs.map(next) };
  }

  it.each(Object.keys(OPERATOR_CASES))('%s', async (name) =>
    checkOperator(OPERATOR_CASES[name]!, await storedNumbers(name)),
  );
  it.each(Object.keys(FLOAT32_CASES))('%s (float32 kernel)', async (name) =>
    checkOperator(FLOAT32_CASES[name]!, await storedNumbers(name), 'float32'),
  );

  it("PyTorch's numbers are of the same operators, in the same shapes", () => {
    expect(Object.keys(golden.info.operators).sort()).toEqual(Object.keys(all).sort());
    for (const [name, { inputs }] of Object.entries(golden.info.operators))
      expect(inputs, name).toEqual(all[name]!.shapes);
  });
});

/** Builds every case, for what is seen meanwhile. */
function buildAll(seen: (graph: Graph) => void = () => undefined): void {
  for (const [cases, dtype] of [
    [OPERATOR_CASES, 'float64'],
    [FLOAT32_CASES, 'float32'],
  ] as const) {
    for (const { build, shapes } of Object.values(cases)) {
      const graph = new Graph('operator');
      build(
        shapes.map((shape, i) => graph.input(`x${i}`, dtype, shape)),
        graph,
      );
      seen(graph);
    }
  }
}

describe('differentiation rules', () => {
  it('there is a case for every rule of an operator', () => {
    const used = new Set<string>();
    buildAll(({ nodes }) => nodes.forEach(({ operator }) => used.add(operator)));
    expect(Object.keys(RULES).filter((operator) => !used.has(operator))).toEqual([]);
  });

  it('there is a case for every gradient written by hand', async () => {
    const composite = vi.spyOn(Graph.prototype, 'composite');
    buildAll();
    const used = new Set(composite.mock.calls.map(([name]) => name));
    composite.mockRestore();
    const written: string[] = [];
    for await (const file of glob('engine/**/*.ts'))
      for (const [, name] of (await readFile(file, 'utf8')).matchAll(/\.composite\('(\w+)'/g)) written.push(name!);
    expect(written.length).toBeGreaterThan(4);
    expect(written.filter((name) => !used.has(name))).toEqual([]);
  });
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
