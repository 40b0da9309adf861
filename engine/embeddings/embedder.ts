import { convertedWeights } from '../model/weightFile.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { EngineError } from '../policy.ts';
import type { EmbedRequest, EngineSettings, OnProgress } from '../policy.ts';
import { allFinite, withNonFiniteCause } from '../session/nonFinite.ts';
import { openSession } from '../session/session.ts';
import type { GraphSession } from '../session/session.ts';
import { layOut } from '../train/microBatch.ts';
import { checkSequences, planMicroBatches } from '../train/planMicroBatches.ts';
import type { ScoredSequence } from '../train/planMicroBatches.ts';
import { hiddenStateGraph } from './hiddenStateGraph.ts';

interface OpenGraph {
  modelDigest: string;
  session: GraphSession;
  weightFile: WeightFile;
}

/** The verb that turns texts into vectors. Its compiled graph is kept until another model's is needed or it is released. */
export class Embedder {
  private readonly settings: EngineSettings;
  private current: OpenGraph | undefined;

  constructor(settings: EngineSettings) {
    this.settings = settings;
  }

  /**
   * The mean over its tokens of the last hidden state (after the final norm) of each text, float32 [hiddenSize]. Added up in the order of the tokens, in
   * double precision: bits depend neither on padding nor on what else is in the batch.
   * Throws EngineError('invalidInput') for texts without tokens or too long ones, ('notFinite') naming the text.
   */
  async embed({ model, texts }: EmbedRequest, onProgress?: OnProgress): Promise<Float32Array[]> {
    const open = await this.open(model, onProgress);
    const { config } = open.weightFile;
    for (const { id, tokens } of texts)
      if (tokens.length === 0) throw new EngineError('invalidInput', `text '${id}' has no tokens`);
    // The last token is only predicted: one that is read by nobody lets all others be read. Each text has a row of its own.
    const sequences = texts.map(({ id, tokens }): ScoredSequence => ({
      id,
      promptTokens: tokens.slice(0, 1),
      completionTokens: [...tokens.slice(1), 0],
    }));
    checkSequences(config, sequences);
    const vectors: Float32Array[] = [];
    let done = 0;
    let read = 0;
    const rowsOfTexts = sequences.map((sequence) => [sequence]);
    for (const indices of planMicroBatches(rowsOfTexts, this.settings.microBatchTokens)) {
      const own = indices.map((index) => texts[index]!);
      const batch = layOut(
        config,
        indices.map((index) => rowsOfTexts[index]!),
        1,
      );
      const { completionRows: _rows, targets: _targets, temperature: _temperature, ...feeds } = batch.feeds;
      const { hidden } = await open.session.run(feeds, ['hidden']);
      const rows = hidden!.data as Float32Array;
      const length = feeds['tokens']!.shape[1]!;
      await withNonFiniteCause(open.session, feeds, () =>
        own.forEach(({ id, tokens }, row) => {
          const start = row * length * config.hiddenSize;
          const states = rows.subarray(start, start + tokens.length * config.hiddenSize);
          if (!allFinite(states)) throw new EngineError('notFinite', `text '${id}': a hidden state is not finite`);
          vectors[indices[row]!] = meanRow(states, config.hiddenSize);
        }),
      );
      done += own.length;
      read += own.reduce((sum, { tokens }) => sum + tokens.length, 0);
      onProgress?.({ phase: 'embed', done, total: texts.length, tokens: read });
    }
    return vectors;
  }

  /** Frees the compiled graph. */
  async release(): Promise<void> {
    await this.current?.session.release();
    this.current = undefined;
  }

  private async open(model: EmbedRequest['model'], onProgress: OnProgress | undefined): Promise<OpenGraph> {
    if (this.current?.modelDigest === model.modelDigest) return this.current;
    await this.release();
    onProgress?.({ phase: 'load', done: 0, total: 1, tokens: 0 });
    const weightFile = await convertedWeights(model, this.settings.cachePath);
    const session = await openSession(hiddenStateGraph(weightFile), {
      ...this.settings,
      weightsFolder: weightFile.folder,
    });
    onProgress?.({ phase: 'load', done: 1, total: 1, tokens: 0 });
    this.current = { modelDigest: model.modelDigest, session, weightFile };
    return this.current;
  }
}

/** Mean of the rows of states [tokens, size]. */
function meanRow(states: Float32Array, size: number): Float32Array {
  const sums = new Float64Array(size);
  for (let index = 0; index < states.length; index++) sums[index % size]! += states[index]!;
  const tokens = states.length / size;
  return Float32Array.from(sums, (sum) => sum / tokens);
}
