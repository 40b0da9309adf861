import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../../engine/graph/builder.ts';
import { broadcastShapes, productOf, quotientOf, sumOf } from '../../../engine/graph/dimensions.ts';
import * as op from '../../../engine/graph/operators.ts';
import { openSession } from '../../../engine/session/session.ts';

const settings = { threads: 1, device: 'cpu' } as const;
const floats = (values: number[], shape: number[]) => ({ data: Float32Array.from(values), shape });

describe('dimensions', () => {
  it('multiply, divide and add with symbols', () => {
    expect(productOf(['sequence', 3, 'batch', 2])).toBe('6*batch*sequence');
    expect(productOf(['batch', 0])).toBe(0);
    expect(quotientOf('6*batch*sequence', '2*batch')).toBe('3*sequence');
    expect(quotientOf('6*batch', 'sequence')).toBeUndefined();
    expect(sumOf('past', 'new')).toBe('(past+new)');
    expect(sumOf(2, 3)).toBe(5);
  });

  it('broadcast only what is known to fit', () => {
    expect(broadcastShapes(['batch', 1, 4], ['sequence', 1])).toEqual(['batch', 'sequence', 4]);
    expect(broadcastShapes(['batch'], ['sequence'])).toBeUndefined();
    expect(broadcastShapes([2], ['batch'])).toBeUndefined();
  });
});

describe('operators check as the graph is built', () => {
  const graph = new Graph('checks');
  const x = graph.input('x', 'float32', ['batch', 3]);
  const w = graph.input('w', 'float32', [4, 2]);
  const i = graph.input('i', 'int64', [2]);

  it.each([
    [
      'shapes that do not broadcast',
      () => op.add(x, graph.input('y', 'float32', ['batch', 4])),
      /Add: shapes do not broadcast: x \(float32 \[batch, 3\]\), y/,
    ],
    ['types that differ', () => op.mul(x, op.cast(x, 'float64')), /Mul: types differ/],
    ['products that do not fit', () => op.matmul(x, w), /FusedMatMul: shapes do not fit/],
    ['an axis that is not there', () => op.softmax(x, 2), /Softmax: axis 2 is outside/],
    ['another number of elements', () => op.reshape(w, [3, 3]), /Reshape: w/],
    ['float indices', () => op.gather(x, w), /Gather: indices must be integers/],
    ['a condition that is no bool', () => op.where(i, 1, 2), /Where: the condition must be bool/],
    ['a slice of unknown length', () => op.slice(x, 0, 0, i), /Slice: length/],
    ['a name twice', () => graph.input('x', 'float32', [1]), /the name 'x' is taken/],
    ['a symbol that no input has', () => op.sizeOf(graph, 'nowhere'), /no input has the dimension 'nowhere'/],
    ['values of another graph', () => op.add(x, new Graph('other').input('o', 'float32', [3])), /does not see/],
  ] as const)('%s', (_name, build, message) => expect(build).toThrow(message));
});

describe('graphs run', () => {
  it('symbolic shapes: two unknown sizes are read from the inputs', async () => {
    const graph = new Graph('symbols');
    const x = graph.input('x', 'float32', ['batch', 'sequence', 2]);
    const flat = op.reshape(x, ['batch*sequence', 2]);
    graph.output('back', op.reshape(op.mul(flat, 2), ['batch', 'sequence', 2]));
    const session = await openSession(graph, settings);
    const { back } = await session.run({ x: floats([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [3, 2, 2]) });
    expect(back!.shape).toEqual([3, 2, 2]);
    expect([...(back!.data as Float32Array)]).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]);
    await session.release();
  });

  it('weights from a file, at an offset', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weights-'));
    writeFileSync(join(folder, 'w.bin'), Float32Array.of(9, 1, 2, 3, 4));
    const graph = new Graph('external');
    const x = graph.input('x', 'float32', [1, 2]);
    const w = graph.weight('w', 'float32', [2, 2], { fileName: 'w.bin', offset: 4, byteLength: 16 });
    graph.output('y', op.matmul(x, w, { transB: true }));
    const session = await openSession(graph, { ...settings, weightsFolder: folder });
    expect([...((await session.run({ x: floats([1, 10], [1, 2]) }))['y']!.data as Float32Array)]).toEqual([21, 43]);
    await session.release();
    rmSync(folder, { recursive: true });
  });

  it('a weight declared again two sub-graphs down is packed there: a row has the same bits alone and among others', async () => {
    const [inner, columns, rows] = [577, 203, 16];
    const numbers = (count: number, seed: number) =>
      Float32Array.from({ length: count }, (_, i) => Math.sin(seed + 12.9898 * i));
    const [x, w] = [numbers(rows * inner, 2), numbers(inner * columns, 1)];
    const graph = new Graph('nested');
    const input = graph.input('x', 'float32', ['rows', inner]);
    const weight = graph.constant(w, 'float32', [inner, columns], 'weight');
    const flag = graph.input('flag', 'bool', []);
    const body = graph.subgraph('body', (trip) => {
      trip.input('iteration', 'int64', []);
      const condition = trip.input('condition', 'bool', []);
      const branch = (name: string) =>
        trip.subgraph(name, (own) => own.output(`${name}.product`, op.matmul(input, own.ownCopy(weight))));
      const [product] = op.choose(flag, branch('yes'), branch('no'));
      trip.output('go', op.identity(condition));
      trip.output('product', product!);
    });
    graph.output('products', op.loop(op.scalar(graph, 1, 'int64'), undefined, [], body, 'trips').stacked[0]!);
    const session = await openSession(graph, settings);
    const products = async (count: number) => {
      const feeds = {
        x: { data: x.slice(0, count * inner), shape: [count, inner] },
        flag: { data: Uint8Array.of(1), shape: [] },
      };
      return (await session.run(feeds))['products']!.data as Float32Array;
    };
    const [alone, among] = [await products(1), await products(rows)];
    await session.release();
    expect([...alone]).toEqual([...among.subarray(0, columns)]);
    const expected = Array.from({ length: inner }, (_, k) => x[k]! * w[k * columns + 5]!).reduce((a, b) => a + b);
    expect(alone[5]).toBeCloseTo(expected, 3);
  });

  it('a loop carries and stacks values; a branch is chosen at run time', async () => {
    const graph = new Graph('control');
    const x = graph.input('x', 'float32', []);
    const flag = graph.input('flag', 'bool', []);
    const trips = op.scalar(graph, 3, 'int64');
    const body = graph.subgraph('body', (inner) => {
      inner.input('iteration', 'int64', []);
      const condition = inner.input('condition', 'bool', []);
      const value = inner.input('value', 'float32', []);
      const next = op.mul(value, x);
      inner.output('go', op.identity(condition));
      inner.output('next', next);
      inner.output('seen', op.add(next, 1));
    });
    const { carried, stacked } = op.loop(trips, undefined, [op.scalar(graph, 1)], body, 'iterations');
    const yes = graph.subgraph('yes', (inner) => inner.output('yes', op.neg(carried[0]!)));
    const no = graph.subgraph('no', (inner) => inner.output('no', op.scalar(inner, 5)));
    graph.output('seen.all', stacked[0]!);
    graph.output('chosen', op.choose(flag, yes, no)[0]!);
    const session = await openSession(graph, settings);
    for (const [bit, chosen] of [
      [1, -8],
      [0, 5],
    ] as const) {
      const result = await session.run({ x: floats([2], []), flag: { data: Uint8Array.of(bit), shape: [] } });
      expect([...(result['seen.all']!.data as Float32Array)]).toEqual([3, 5, 9]);
      expect(result['chosen']!.data[0]).toBe(chosen);
    }
    await session.release();
  });

  it('leaves out what no output needs', () => {
    const size = (extra: boolean) => {
      const graph = new Graph('unused');
      const x = graph.input('x', 'float32', [2]);
      if (extra) op.exp(op.add(x, graph.constant(new Float32Array(1000), 'float32', [1000, 1])));
      graph.output('y', op.neg(x));
      return graph.encode().length;
    };
    expect(size(true)).toBe(size(false));
  });

  it('names a feed that is missing, unknown or misshapen', async () => {
    const graph = new Graph('feeds');
    const a = graph.input('a', 'float32', ['batch', 2]);
    const b = graph.input('b', 'float32', ['batch', 2]);
    graph.output('y', op.add(a, b));
    const session = await openSession(graph, settings);
    const two = floats([1, 2, 3, 4], [2, 2]);
    await expect(session.run({ a: two })).rejects.toThrow(/input 'b': missing/);
    await expect(session.run({ a: two, b: two, c: two })).rejects.toThrow(/no input 'c'/);
    await expect(session.run({ a: two, b: floats([1, 2], [1, 2]) })).rejects.toThrow(
      /input 'b': shape \[1, 2\] does not fit \[batch, 2\] \(batch = 2 by a\)/,
    );
    await session.release();
  });

  it('preallocated outputs are written in place, also over an input (canary for the pinned ONNX Runtime)', async () => {
    const graph = new Graph('inPlace');
    const x = graph.input('x', 'float32', [4]);
    graph.output('y', op.add(x, 1));
    const session = await openSession(graph, settings);
    const buffer = floats([1, 2, 3, 4], [4]);
    await session.run({ x: buffer }, ['y'], { y: buffer });
    expect([...buffer.data]).toEqual([2, 3, 4, 5]);
    await session.release();
  });

  it('denormal numbers count as zero', async () => {
    const graph = new Graph('denormals2');
    const x = graph.input('x', 'float32', [1]);
    graph.output('y', op.mul(op.mul(x, 1e-20), 1e20));
    const session = await openSession(graph, settings);
    expect((await session.run({ x: floats([1e-20], [1]) }))['y']!.data[0]).toBe(0);
    await session.release();
  });
});
