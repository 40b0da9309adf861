import { Graph } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { declareWeights, decoderLayers, embed } from '../model/decoder.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { declarePackedRows } from '../train/packedRows.ts';

/** The forward pass of the untouched model to its last hidden state, after the final norm: tokens [batch, sequence] to `hidden` [batch * sequence, hiddenSize]. */
export function hiddenStateGraph(weightFile: WeightFile): Graph {
  const { config } = weightFile;
  const graph = new Graph('hiddenStates');
  const { tokens, attention } = declarePackedRows(graph, config);
  const weights = declareWeights(graph, config, (name) => weightFile.locate(name));
  const hidden = decoderLayers({ config, weights, attention }, embed(weights, tokens));
  graph.output('hidden', op.reshape(hidden, ['batch*sequence', config.hiddenSize]));
  return graph;
}
