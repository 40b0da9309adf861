import type { GraphNode, Value } from './builder.ts';
import type { Graph } from './builder.ts';
import { productOf } from './dimensions.ts';
import * as op from './operators.ts';
import { rewriteGraph } from './rewrite.ts';
import type { Replacement } from './rewrite.ts';

/** Execution providers of ONNX Runtime that graphs are written for. */
export type Provider = 'cpu' | 'webgpu' | 'cuda';

/**
 * The graph with the operators that a provider lacks or computes wrongly replaced by others. Graphs are built for the CPU, so there it is the same
 * graph, bytes included; CUDA has every operator that is used.
 */
export function graphForProvider(graph: Graph, provider: Provider): Graph {
  return provider === 'webgpu' ? rewriteGraph(graph, { replacements: WEBGPU }).graph : graph;
}

/**
 * WebGPU. Left to ONNX Runtime's CPU kernels, which only costs copies: If and Loop themselves (their bodies run on the device), arithmetic of int64
 * indices and shapes.
 */
const WEBGPU: Readonly<Record<string, Replacement>> = {
  // Not there.
  FusedMatMul: (node, inputs) => [product(node, inputs[0]!, inputs[1]!)],
  LogSoftmax: (node, inputs) => {
    const axis = node.attributes['axis'] as number;
    const shifted = op.sub(inputs[0]!, op.reduceMax(inputs[0]!, [axis], true));
    return [op.sub(shifted, op.log(op.reduceSum(op.exp(shifted), [axis], true)))];
  },
  // Its second output, 1 / sqrt(mean(x^2) + epsilon), is wrong.
  SimplifiedLayerNormalization: (node, inputs) => {
    const [x, scale] = [inputs[0]!, inputs[1]!];
    const { float: epsilon } = node.attributes['epsilon'] as { float: number };
    const { normalized } = op.rmsNorm(x, scale, epsilon);
    const meanSquare = op.reduceMean(op.mul(x, x), [-1], true);
    return [normalized, op.reciprocal(op.sqrt(op.add(meanSquare, epsilon)))];
  },
};

/** alpha op(a) op(b) by Gemm, which transposes as it reads, where b is one matrix for all rows of a; else by Transpose, MatMul and Mul. */
function product(node: GraphNode, a: Value, b: Value): Value {
  const [transA, transB] = [node.attributes['transA'] === 1, node.attributes['transB'] === 1];
  const { float: alpha } = node.attributes['alpha'] as { float: number };
  if (b.shape.length === 2 && (a.shape.length === 2 || !transA)) {
    const rows = op.reshape(a, [productOf(a.shape.slice(0, -1)), a.shape.at(-1)!]);
    return op.reshape(op.gemm(rows, b, undefined, { transA, transB, alpha }), node.outputs[0]!.shape);
  }
  const multiplied = op.plainMatmul(transA ? lastTwoSwapped(a) : a, transB ? lastTwoSwapped(b) : b);
  return alpha === 1 ? multiplied : op.mul(multiplied, alpha);
}

function lastTwoSwapped(x: Value): Value {
  const axes = x.shape.map((_, axis) => axis);
  return op.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}
