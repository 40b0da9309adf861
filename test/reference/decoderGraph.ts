/** The decoder's blocks in one graph with plain operators, to look at logits and at gradients of every parameter. */
import { Graph } from '../../engine/graph/builder.ts';
import type { Value } from '../../engine/graph/builder.ts';
import * as op from '../../engine/graph/operators.ts';
import { declareAdapter } from '../../engine/model/adapter.ts';
import type { Adapter } from '../../engine/model/adapter.ts';
import { declareWeights, decoderLayers, embed, outputHead } from '../../engine/model/decoder.ts';
import type { DecoderWeights } from '../../engine/model/decoder.ts';
import type { WeightFile } from '../../engine/model/weightFile.ts';
import { openSession } from '../../engine/session/session.ts';
import { layOut } from '../../engine/train/microBatch.ts';
import { declarePackedRows } from '../../engine/train/packedRows.ts';
import { testDevice } from '../gpu/testDevice.ts';

/** A graph from the feeds of `layOut` to the logits of the gathered rows: [tokens, vocabulary]. */
export function decoderGraph(
  weightFile: WeightFile,
  adapter?: Adapter,
): { graph: Graph; weights: DecoderWeights; logits: Value } {
  const { config } = weightFile;
  const graph = new Graph('decoder');
  const { tokens, attention } = declarePackedRows(graph, config);
  const completionRows = graph.input('completionRows', 'int64', ['tokens']);
  const lora = declareAdapter(graph, adapter?.modules ?? []);
  const weights = declareWeights(graph, config, (tensor) => weightFile.locate(tensor));
  const hidden = decoderLayers({ config, weights, attention, lora }, embed(weights, tokens));
  const gathered = op.gather(op.reshape(hidden, ['batch*sequence', config.hiddenSize]), completionRows);
  // The head in plain operators: what the trainer's chunked head computes by its own rule.
  const logits = op.matmul(gathered, outputHead(config, weights), { transB: true });
  return { graph, weights, logits };
}

/** Logits at every token, row after row: [sum of lengths, vocabulary]. */
export async function logitsOf(weightFile: WeightFile, rows: number[][], adapter?: Adapter): Promise<Float32Array> {
  const { config } = weightFile;
  const { graph, logits } = decoderGraph(weightFile, adapter);
  graph.output('logits', logits);
  const session = await openSession(graph, { threads: 2, device: testDevice, weightsFolder: weightFile.folder });
  // A token after the end has the last token's logits gathered; which one does not matter.
  const sequences = rows.map((row, i) => [
    { id: `row ${i}`, promptTokens: row.slice(0, 1), completionTokens: [...row.slice(1), 0] },
  ]);
  const { temperature: _, targets: _unused, ...feeds } = layOut(config, sequences, 1).feeds;
  const result = await session.run({ ...feeds, ...Object.fromEntries(adapter?.tensors ?? []) });
  await session.release();
  const count = rows.reduce((sum, row) => sum + row.length, 0);
  return (result['logits']!.data as Float32Array).slice(0, count * config.vocabularySize);
}

/** log p of every token but the first of each row, from the logits at every token. */
export function logProbsFrom(logits: ArrayLike<number>, rows: number[][], vocabularySize: number): number[] {
  let at = 0;
  return rows.flatMap((row) => {
    const first = at;
    at += row.length;
    return row.slice(1).map((token, i) => {
      const start = (first + i) * vocabularySize;
      let largest = -Infinity;
      for (let j = 0; j < vocabularySize; j++) largest = Math.max(largest, logits[start + j]!);
      let sum = 0;
      for (let j = 0; j < vocabularySize; j++) sum += Math.exp(logits[start + j]! - largest);
      return logits[start + token]! - largest - Math.log(sum);
    });
  });
}
