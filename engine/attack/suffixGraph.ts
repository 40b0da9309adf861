import { Graph } from '../graph/builder.ts';
import { gradients } from '../graph/gradients.ts';
import * as op from '../graph/operators.ts';
import { embed, outputHead } from '../model/decoder.ts';
import type { TrainedWeights } from '../model/trainedWeights.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { sequenceForward } from '../train/sequenceForward.ts';
import { gatherRows, tokenLogProbs } from '../train/tokenLogProbs.ts';

/**
 * One graph that scores and differentiates with respect to its input, so that both have the same bits: the forward pass to `logProbs` [tokens], and, where
 * the input `training` is true, `oneHot` [slots, vocabulary]: the gradient of sum(-weight * logProbs) with respect to the one-hot rows of the tokens at
 * `slots` (int64, rows of [batch*sequence]). A token's embedding is its one-hot row times the embedding matrix E, so the gradient is g E', with g the
 * gradient of the embedding. The output matrix is a constant, also where it is the same matrix: nothing but the input changes.
 * Nothing here is part of the training graphs, whose bytes stay as they are.
 */
export function suffixGraph(weightFile: WeightFile, trained: Omit<TrainedWeights, 'tensors'>): Graph {
  const { config } = weightFile;
  const graph = new Graph('suffix');
  const { tokens, completionRows, targets, temperature, weights, hiddenOf } = sequenceForward(
    graph,
    weightFile,
    trained,
  );
  const rowOfPosition = graph.input('rowOfPosition', 'int64', ['batch*sequence']);
  const weight = graph.input('weight', 'float32', ['tokens']);
  const slots = graph.input('slots', 'int64', ['slots']);
  const training = graph.input('training', 'bool', []);

  const embedded = embed(weights, tokens);
  const rows = gatherRows(hiddenOf(embedded), completionRows, rowOfPosition);
  const { logProbs } = tokenLogProbs(rows, outputHead(config, weights), targets, temperature, training);

  const backward = graph.subgraph('backward', (branch) => {
    const [ofEmbedded] = gradients([{ value: logProbs, seed: op.neg(weight) }], [embedded]);
    const ofSlots = op.gather(op.reshape(ofEmbedded!, ['batch*sequence', config.hiddenSize]), slots);
    const matrix = weights.get('model.embed_tokens.weight')!;
    // Symbols, because the other branch gives another shape.
    branch.output('backward.oneHot', op.assumeShape(op.matmul(ofSlots, matrix, { transB: true }), ['rows', 'columns']));
  });
  const skipped = graph.subgraph('skipped', (branch) => {
    branch.output('skipped.oneHot', op.zeros(branch, [1, 1]));
  });
  graph.output('logProbs', logProbs);
  graph.output('oneHot', op.choose(training, backward, skipped)[0]!);
  return graph;
}
