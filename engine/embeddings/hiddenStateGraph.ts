import { Graph } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { declareWeights, decoderLayers, embed, fullAttention } from '../model/decoder.ts';
import type { WeightFile } from '../model/weightFile.ts';

/** The forward pass of the untouched model to its last hidden state, after the final norm: tokens [batch, sequence] to `hidden` [batch * sequence, hiddenSize]. */
export function hiddenStateGraph(weightFile: WeightFile): Graph {
  const { config } = weightFile;
  const graph = new Graph('hiddenStates');
  const tokens = graph.input('tokens', 'int64', ['batch', 'sequence']);
  const mask = graph.input('mask', 'float32', ['sequence', 'sequence']);
  const cos = graph.input('cos', 'float32', ['sequence', config.headDim / 2]);
  const sin = graph.input('sin', 'float32', ['sequence', config.headDim / 2]);
  const weights = declareWeights(graph, config, (name) => weightFile.locate(name));
  const rotary = { positions: op.integers(graph, [0]), cos, sin };
  const hidden = decoderLayers(
    { config, weights, rotary, attend: fullAttention(config, mask) },
    embed(weights, tokens),
  );
  graph.output('hidden', op.reshape(hidden, ['batch*sequence', config.hiddenSize]));
  return graph;
}
