import type { Graph, Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { declareAdapter } from '../model/adapter.ts';
import {
  declareTrainedWeights,
  declareWeights,
  decoderLayers,
  fullAttention,
  type DecoderWeights,
  type LoraPairs,
} from '../model/decoder.ts';
import type { TrainedWeights } from '../model/trainedWeights.ts';
import type { WeightFile } from '../model/weightFile.ts';

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

/** Declares what every graph over whole sequences takes: tokens, mask, rotary tables, what to score, and what is trained. */
export function sequenceForward(
  graph: Graph,
  weightFile: WeightFile,
  trained: Omit<TrainedWeights, 'tensors'>,
): SequenceForward {
  const { config } = weightFile;
  const tokens = graph.input('tokens', 'int64', ['batch', 'sequence']);
  const mask = graph.input('mask', 'float32', ['sequence', 'sequence']);
  const cos = graph.input('cos', 'float32', ['sequence', config.headDim / 2]);
  const sin = graph.input('sin', 'float32', ['sequence', config.headDim / 2]);
  const completionRows = graph.input('completionRows', 'int64', ['tokens']);
  const targets = graph.input('targets', 'int64', ['tokens']);
  const temperature = graph.input('temperature', 'float32', []);
  const lora = declareAdapter(graph, trained.modules);
  const weights = trained.all
    ? declareTrainedWeights(graph, config)
    : declareWeights(graph, config, (name) => weightFile.locate(name));
  const rotary = { positions: op.integers(graph, [0]), cos, sin };
  const attend = fullAttention(config, mask);
  const hiddenOf = (embedded: Value): Value =>
    op.reshape(decoderLayers({ config, weights, rotary, attend, lora }, embedded), [
      'batch*sequence',
      config.hiddenSize,
    ]);
  return { tokens, completionRows, targets, temperature, weights, lora, hiddenOf };
}
