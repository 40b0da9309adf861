import { readTrained } from '../model/trainedWeights.ts';
import type { TrainedWeights } from '../model/trainedWeights.ts';
import { convertedWeights } from '../model/weightFile.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { EngineError } from '../policy.ts';
import type { EngineSettings, PolicyWeights } from '../policy.ts';
import { withNonFiniteCause } from '../session/nonFinite.ts';
import { openSession } from '../session/session.ts';
import type { GraphSession, Tensor } from '../session/session.ts';
import { layOut } from '../train/microBatch.ts';
import type { MicroBatch } from '../train/microBatch.ts';
import { checkSequences, planMicroBatches, tokenLimitFor } from '../train/planMicroBatches.ts';
import type { ScoredSequence } from '../train/planMicroBatches.ts';
import { checkFinite } from '../train/trainer.ts';
import { suffixGraph } from './suffixGraph.ts';

/** The loss of one text, mean over its target tokens. */
export interface TargetLoss {
  /** -log p of the target's tokens, mean. */
  loss: number;
  /** Probability of the least likely of them. Above one half, greedy decoding writes the target. */
  leastProbability: number;
}

/** A policy that texts are searched against: scored, and differentiated with respect to its input. Holds one compiled graph. */
export class SuffixModel {
  private readonly session: GraphSession;
  private readonly weightFile: WeightFile;
  private readonly trained: TrainedWeights;
  private readonly tokenLimit: number;
  /** Tokens that were read, of all runs. */
  tokens = 0;

  private constructor(session: GraphSession, weightFile: WeightFile, trained: TrainedWeights, tokenLimit: number) {
    this.session = session;
    this.weightFile = weightFile;
    this.trained = trained;
    this.tokenLimit = tokenLimit;
  }

  /** @throws EngineError('invalidInput') if model or adapter is malformed. */
  static async open(policy: PolicyWeights, settings: EngineSettings): Promise<SuffixModel> {
    const weightFile = await convertedWeights(policy, settings.cachePath);
    const trained = policy.adapterPath
      ? await readTrained(policy.adapterPath, weightFile.config)
      : { modules: [], all: false, tensors: new Map() };
    const session = await openSession(suffixGraph(weightFile, trained), {
      ...settings,
      weightsFolder: weightFile.folder,
    });
    return new SuffixModel(session, weightFile, trained, tokenLimitFor(trained.all, settings.microBatchTokens));
  }

  /** Losses of prompts and targets, in their order. Bits do not depend on what is scored together. */
  async losses(
    texts: readonly { promptTokens: number[]; completionTokens: number[] }[],
    onBatch: () => void = () => {},
  ): Promise<TargetLoss[]> {
    const sequences = texts.map((text, index): ScoredSequence => ({ id: String(index), ...text }));
    checkSequences(this.weightFile.config, sequences);
    const result: TargetLoss[] = [];
    const rows = sequences.map((sequence) => [sequence]);
    for (const indices of planMicroBatches(rows, this.tokenLimit)) {
      const own = indices.map((index) => rows[index]!);
      const batch = layOut(this.weightFile.config, own, 1);
      const feeds = this.feeds(batch, { slots: [0], training: false });
      const { logProbs } = await this.session.run(feeds, ['logProbs']);
      this.tokens += batch.realTokens;
      const losses = await withNonFiniteCause(this.session, feeds, () =>
        batch.spans.map((span) => lossOf(logProbs!.data as Float32Array, span)),
      );
      indices.forEach((index, row) => (result[index] = losses[row]!));
      onBatch();
    }
    return result;
  }

  /**
   * The loss of one text, and its gradient with respect to the one-hot rows of the prompt's tokens from `start` on: `count` rows, each as long as
   * the vocabulary.
   */
  async oneHotGradient(
    text: { promptTokens: number[]; completionTokens: number[] },
    start: number,
    count: number,
  ): Promise<TargetLoss & { gradient: Float32Array }> {
    const sequence: ScoredSequence = { id: 'suffix', ...text };
    checkSequences(this.weightFile.config, [sequence]);
    if (start < 0 || count < 1 || start + count > text.promptTokens.length)
      throw new EngineError('invalidInput', `tokens ${start} to ${start + count} are not in the prompt`);
    const batch = layOut(this.weightFile.config, [[sequence]], 1);
    const slots = Array.from({ length: count }, (_, index) => start + index);
    const feeds = this.feeds(batch, { slots, training: true });
    const outputs = await this.session.run(feeds);
    this.tokens += batch.realTokens;
    const gradient = outputs['oneHot']!.data as Float32Array;
    return withNonFiniteCause(this.session, feeds, () => {
      checkFinite(gradient, 'gradient with respect to the tokens');
      return { gradient, ...lossOf(outputs['logProbs']!.data as Float32Array, batch.spans[0]!) };
    });
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private feeds(batch: MicroBatch, { slots, training }: { slots: number[]; training: boolean }) {
    const rowOfPosition = new BigInt64Array(batch.computedTokens).fill(BigInt(batch.gatheredTokens));
    const completionRows = batch.feeds['completionRows']!.data as BigInt64Array;
    const weight = new Float32Array(batch.gatheredTokens);
    for (const { start, end } of batch.spans) {
      weight.fill(1 / (end - start), start, end);
      for (let row = start; row < end; row++) rowOfPosition[Number(completionRows[row])] = BigInt(row);
    }
    const feeds: Record<string, Tensor> = {
      ...batch.feeds,
      ...Object.fromEntries(this.trained.tensors),
      rowOfPosition: { data: rowOfPosition, shape: [batch.computedTokens] },
      weight: { data: weight, shape: [batch.gatheredTokens] },
      slots: { data: BigInt64Array.from(slots, BigInt), shape: [slots.length] },
      training: { data: Uint8Array.of(training ? 1 : 0), shape: [] },
    };
    return feeds;
  }
}

function lossOf(logProbs: Float32Array, { start, end }: { start: number; end: number }): TargetLoss {
  const own = logProbs.subarray(start, end);
  checkFinite(own, 'log-probabilities of the target');
  return {
    loss: -own.reduce((sum, value) => sum + value, 0) / own.length,
    leastProbability: Math.exp(own.reduce((least, value) => Math.min(least, value), 0)),
  };
}
