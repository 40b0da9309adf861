import { Graph } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { openSession } from './session.ts';

/** Rows, inner size, columns: large enough for the kernels' best, small enough for the caches of small machines not to matter. */
const [m, k, n] = [1536, 1536, 1536];
const repeats = 6;

/** 10^9 operations a second of a large product with packed weights by ONNX Runtime: the best of some repeats, this machine's practical peak. */
export async function matrixPeak(threads: number): Promise<number> {
  const graph = new Graph('peak');
  const x = graph.input('x', 'float32', [m, k]);
  const weight = graph.constant(new Float32Array(n * k).fill(0.5), 'float32', [n, k]);
  // What is fetched is copied: one number.
  graph.output('y', op.reduceMax(op.matmul(x, weight, { transB: true }), [0, 1]));
  const session = await openSession(graph, { threads, device: 'cpu' });
  const feeds = { x: { data: new Float32Array(m * k).fill(0.25), shape: [m, k] } };
  let best = Infinity;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * m * k * n) / 1e9 / (best / 1000);
}
