import type { Graph, Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { declareAdapter } from '../model/adapter.ts';
import { declareTrainedWeights, declareWeights, decoderLayers } from '../model/decoder.ts';
import type { DecoderWeights, LoraPairs } from '../model/decoder.ts';
import type { TrainedWeights } from '../model/trainedWeights.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { declarePackedRows } from './packedRows.ts';

/** The inputs of a pass over whole sequences, and the layers on them. */
export interface SequenceForward {
  /** int64 [batch, sequence] */
  tokens: Value;
  /** int64 [tokens]: rows of [batch*sequence] whose next token is scored, and those tokens. */
  completionRows: Value;
  targets: Value;
  temperature: Value;
  weights: DecoderWeights;
  lora: LoraPairs;
  /** From embedded tokens to hidden states, [batch*sequence, hiddenSize]. */
  hiddenOf(embedded: Value): Value;
}

/** Declares what every graph over whole sequences takes: packed rows (packedRows.ts), what to score, and what is trained. */
export function sequenceForward(
  graph: Graph,
  weightFile: WeightFile,
  trained: Omit<TrainedWeights, 'tensors'>,
): SequenceForward {
  const { config } = weightFile;
  const { tokens, attention } = declarePackedRows(graph, config);
  const completionRows = graph.input('completionRows', 'int64', ['tokens']);
  const targets = graph.input('targets', 'int64', ['tokens']);
  const temperature = graph.input('temperature', 'float32', []);
  const lora = declareAdapter(graph, trained.modules);
  const weights = trained.all
    ? declareTrainedWeights(graph, config)
    : declareWeights(graph, config, (name) => weightFile.locate(name));
  const hiddenOf = (embedded: Value): Value =>
    op.reshape(decoderLayers({ config, weights, attention, lora }, embedded), ['batch*sequence', config.hiddenSize]);
  return { tokens, completionRows, targets, temperature, weights, lora, hiddenOf };
}
