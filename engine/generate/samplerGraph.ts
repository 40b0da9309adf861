import type { Value } from '../graph/builder.ts';
import { Graph } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import type { Adapter } from '../model/adapter.ts';
import { tensorNameOf } from '../model/adapter.ts';
import type { DecoderConfig } from '../model/config.ts';
import type { DecoderWeights, EightBitMatrices } from '../model/decoder.ts';
import { declareWeights, decoderLayers, embed, headName, outputHead, rotated } from '../model/decoder.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { cachedAttention, ROWS } from './cachedAttention.ts';
import { drawTokens } from './drawTokens.ts';
import type { EightBitFile } from './eightBitWeights.ts';

/**
 * One graph for prefill and decoding: S new tokens of R rows behind each of P prefixes against their caches, and a token drawn at each of D chosen places.
 *
 * Inputs: `tokens` int64 [P, R, S]; `positions` int64 [P R, S]; `cos`, `sin` [T, headDim/2]; masks and caches (cachedAttention.ts); `places` int64 [D],
 * row * S + token of the hidden states to draw from (a place may repeat); `uniforms` [D, 1]; `temperature` [1]; `greedy` bool [].
 * With `eightBit` (the adapter is in it already) the projections and the output matrix are products of 8-bit numbers.
 * Outputs: `logits` [D, vocabulary], divided by the temperature; `drawn` int64 [D], `probabilities` [D] of the tokens drawn, new keys and values of every layer.
 */
export function buildSamplerGraph(weightFile: WeightFile, adapter?: Adapter, eightBitFile?: EightBitFile): Graph {
  const { config } = weightFile;
  const graph = new Graph('sampler');
  const eightBit = eightBitFile && declareEightBit(graph, eightBitFile);
  const declared = declareWeights(graph, config, weightFile.locate);
  const weights = eightBit ? declared : mergedWeights(graph, config, declared, adapter);
  const tokens = op.reshape(graph.input('tokens', 'int64', ['P', 'R', 'S']), [ROWS, 'S']);
  const rotary = {
    positions: graph.input('positions', 'int64', [ROWS, 'S']),
    cos: graph.input('cos', 'float32', ['T', config.headDim / 2]),
    sin: graph.input('sin', 'float32', ['T', config.headDim / 2]),
  };
  const { attend } = cachedAttention(graph, config);
  const places = graph.input('places', 'int64', ['D']);
  const uniforms = graph.input('uniforms', 'float32', ['D', 1]);
  const temperature = graph.input('temperature', 'float32', [1]);
  const greedy = graph.input('greedy', 'bool', []);

  const chosen = decoderLayers(
    { config, weights, attention: rotated(rotary, attend), ...(eightBit ? { eightBit } : {}) },
    embed(weights, tokens),
    places,
  );
  // Dividing the hidden state divides the logits, at a hundredth of the cost.
  const scaled = op.div(chosen, temperature);
  const head = eightBit?.get(headName(config));
  const logits = head ? op.matmul8Bit(scaled, head) : op.matmul(scaled, outputHead(config, weights), { transB: true });
  const drawn = drawTokens(graph, logits, uniforms, greedy);
  graph.output('logits', logits);
  graph.output('drawn', drawn.tokens);
  graph.output('probabilities', drawn.probabilities);
  return graph;
}

function declareEightBit(graph: Graph, file: EightBitFile): EightBitMatrices {
  return new Map(
    [...file.matrices].map(([name, { out, blocks, block, values, scales }]) => [
      name,
      {
        values: graph.weight(`${name}.values`, 'uint8', [out, blocks, block], values),
        scales: graph.weight(`${name}.scales`, 'float32', [out, blocks], scales),
      },
    ]),
  );
}

/**
 * W + scale B A for every adapted projection, by the formula of mergedWeights.ts. All operands are constants, so ONNX Runtime computes it once, when
 * the session is made.
 */
function mergedWeights(
  graph: Graph,
  config: DecoderConfig,
  weights: DecoderWeights,
  adapter: Adapter | undefined,
): DecoderWeights {
  const merged = new Map(weights);
  const constant = (name: string): Value => {
    const tensor = adapter!.tensors.get(name)!;
    return graph.constant(tensor.data, 'float32', tensor.shape, name);
  };
  for (const { module, scale } of adapter?.modules ?? []) {
    const weight = merged.get(`${module}.weight`);
    if (!weight) throw new Error(`the ${config.architecture} model has no module '${module}'`);
    const [a, b] = [constant(tensorNameOf(module, 'A')), constant(tensorNameOf(module, 'B'))];
    merged.set(`${module}.weight`, op.gemm(op.mul(b, scale), a, weight));
  }
  return merged;
}
