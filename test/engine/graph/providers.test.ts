import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../engine/graph/builder.ts';
import type { GraphNode, Value } from '../../../engine/graph/builder.ts';
import { graphForProvider } from '../../../engine/graph/providers.ts';
import { gradients } from '../../../engine/graph/gradients.ts';
import * as op from '../../../engine/graph/operators.ts';
import {
  declareWeights,
  decoderLayers,
  embed,
  maskedAttention,
  outputHead,
  rotated,
} from '../../../engine/model/decoder.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { WeightFile } from '../../../engine/model/weightFile.ts';
import { openSession } from '../../../engine/session/session.ts';
import type { Tensor } from '../../../engine/session/session.ts';
import { buildSamplerGraph } from '../../../engine/generate/samplerGraph.ts';
import { testDevice } from '../../gpu/testDevice.ts';
import { pseudoRandom, TINY, writeRandomModel } from '../train/randomModel.ts';

/** Operators of the nodes that are encoded, sub-graphs included. */
function operatorsOf(graph: Graph): Set<string> {
  const used = graph.usedValues();
  const found = new Set<string>();
  const visit = ({ nodes }: Graph) => {
    for (const node of nodes) {
      if (!node.outputs.some((output) => used.has(output))) continue;
      found.add(node.operator);
      for (const attribute of Object.values(node.attributes)) if (attribute instanceof Graph) visit(attribute);
    }
  };
  visit(graph);
  return found;
}

const nodesOf = (graph: Graph, operator: string): GraphNode[] =>
  graph.nodes.filter((node) => node.operator === operator);

/** A decoder's log-probabilities and the gradients of two of its weights. */
function forwardAndBackward(weightFile: WeightFile): Graph {
  const { config } = weightFile;
  const graph = new Graph('decoder');
  const tokens = graph.input('tokens', 'int64', ['batch', 'sequence']);
  const mask = graph.input('mask', 'float32', ['sequence', 'sequence']);
  const [cos, sin] = ['cos', 'sin'].map((table) => graph.input(table, 'float32', ['sequence', config.headDim / 2]));
  const weights = declareWeights(graph, config, weightFile.locate);
  const rotary = { positions: op.integers(graph, [0]), cos: cos!, sin: sin! };
  const hidden = decoderLayers(
    {
      config,
      weights,
      attention: rotated(rotary, (_layer, query, key, value) => maskedAttention(config, { query, key, value, mask })),
    },
    embed(weights, tokens),
  );
  const logProbs = op.logSoftmax(op.matmul(hidden, outputHead(config, weights), { transB: true }));
  const seed = graph.input('seed', 'float32', logProbs.shape);
  const trained = ['self_attn.q_proj', 'mlp.up_proj'].map((name) => weights.get(`model.layers.0.${name}.weight`)!);
  gradients([{ value: logProbs, seed }], trained).forEach((gradient, i) => graph.output(`gradient.${i}`, gradient!));
  graph.output('logProbs', logProbs);
  return graph;
}

describe('operators by execution provider', () => {
  let folder: string;
  let training: Graph;
  let sampler: Graph;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'providers-'));
    const modelPath = await writeRandomModel(join(folder, 'model'), TINY);
    const weightFile = await convertedWeights({ modelPath, modelDigest: 'tiny' }, join(folder, 'cache'));
    training = forwardAndBackward(weightFile);
    sampler = buildSamplerGraph(weightFile);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('the CPU and CUDA get the graph as it was built', () => {
    for (const graph of [training, sampler]) {
      expect(graphForProvider(graph, 'cpu')).toBe(graph);
      expect(graphForProvider(graph, 'cuda')).toBe(graph);
      expect(operatorsOf(graph)).toContain('FusedMatMul');
    }
  });

  it('WebGPU gets no operator that it lacks, and no use of the output that it computes wrongly', () => {
    for (const graph of [training, sampler]) {
      const rewritten = graphForProvider(graph, 'webgpu');
      for (const missing of ['FusedMatMul', 'LogSoftmax']) expect(operatorsOf(rewritten)).not.toContain(missing);
      const used = rewritten.usedValues();
      const norms = nodesOf(rewritten, 'SimplifiedLayerNormalization');
      expect(norms.length).toBeGreaterThanOrEqual(5);
      expect(norms.filter(({ outputs }) => used.has(outputs[1]!))).toEqual([]);
      expect(rewritten.inputs.map(({ name }) => name)).toEqual(graph.inputs.map(({ name }) => name));
      expect(rewritten.outputs.map(({ name }) => name)).toEqual(graph.outputs.map(({ name }) => name));
    }
    for (const operator of ['FusedMatMul', 'LogSoftmax']) expect(operatorsOf(training)).toContain(operator);
  });
});

describe(`replaced operators give what the CPU's give (here on ${testDevice})`, () => {
  type Build = (inputs: Value[]) => Value | Value[];
  const product = (a: number[], b: number[], options: Parameters<typeof op.matmul>[2]): [Build, number[][]] => [
    ([x, y]) => op.matmul(x!, y!, options),
    [a, b],
  ];
  it.each<[string, [Build, number[][]]]>([
    ['product of matrices', product([5, 6], [6, 7], {})],
    ['product, both transposed, scaled', product([6, 5], [7, 6], { transA: true, transB: true, alpha: 0.5 })],
    ['rows of a batch by a weight [out, in]', product([2, 3, 6], [7, 6], { transB: true, alpha: 2 })],
    ['batches, the second transposed', product([2, 3, 5, 6], [2, 3, 7, 6], { transB: true, alpha: 0.25 })],
    ['batches, the first transposed', product([2, 6, 5], [2, 6, 7], { transA: true })],
    ['a batch transposed by one matrix', product([2, 6, 5], [6, 7], { transA: true })],
    ['a batch of one against several', product([1, 3, 5, 6], [2, 3, 6, 7], {})],
    ['log-softmax of large numbers', [([x]) => op.logSoftmax(op.mul(x!, 200)), [[4, 9]]]],
    ['log-softmax along the first axis', [([x]) => op.logSoftmax(x!, 0), [[4, 9]]]],
    [
      'RMS norm and the inverse of its deviation',
      [
        ([x, scale]) => {
          const { normalized, inverseDeviation } = op.rmsNorm(x!, scale!, 1e-5);
          return [normalized, inverseDeviation];
        },
        [[3, 4, 16], [16]],
      ],
    ],
  ])('%s', async (_name, [build, shapes]) => {
    const random = pseudoRandom(5);
    const graph = new Graph('operator');
    const feeds: Record<string, Tensor> = {};
    const inputs = shapes.map((shape, i) => {
      const size = shape.reduce((count, dimension) => count * dimension, 1);
      feeds[`x${i}`] = { data: Float32Array.from({ length: size }, random), shape };
      return graph.input(`x${i}`, 'float32', shape);
    });
    [build(inputs)].flat().forEach((value, i) => graph.output(`y${i}`, value));
    const results = [];
    for (const [used, device] of [
      [graph, 'cpu'],
      [graphForProvider(graph, 'webgpu'), testDevice],
    ] as const) {
      const session = await openSession(used, { threads: 1, device });
      results.push(await session.run(feeds));
      await session.release();
    }
    const [expected, actual] = results;
    for (const name of Object.keys(expected!)) {
      expect(actual![name]!.shape).toEqual(expected![name]!.shape);
      const wanted = expected![name]!.data as Float32Array;
      const largest = Math.max(...wanted.map(Math.abs));
      (actual![name]!.data as Float32Array).forEach((value, i) =>
        expect(Math.abs(value - wanted[i]!) / largest, `${name}[${i}]`).toBeLessThan(2e-6),
      );
    }
  });
});
