/** Weight of each token in a loss that is a sum: mask and normaliser over the whole batch, so that shards of the batch can be added. */
import type { Configuration } from '../configuration/schema.ts';

export interface WeightedSequence {
  /** Completion tokens, the stop token among them. */
  tokens: number;
  /** False = left out (unscorable): weight 0, and not counted in the normaliser either. (TRL counts it.) */
  counted: boolean;
}

/**
 * The weight of every token of each sequence.
 *
 * - `sequence-mean`: 1 / (sequences x tokens of the sequence): mean of sequence means (GRPO; TRL's loss_type "grpo").
 * - `token-mean`: 1 / tokens of the batch (DAPO; "dapo"; the usual SFT loss).
 * - `constant`: 1 / (sequences x maxNewTokens): no length enters (Dr. GRPO; "dr_grpo").
 *
 * An empty sequence has weight 0; under `sequence-mean` and `constant` it still counts as a sequence.
 */
export function tokenWeights(
  sequences: readonly WeightedSequence[],
  aggregation: Configuration['iteration']['aggregation'],
  maxNewTokens: number,
): number[] {
  const counted = sequences.filter((sequence) => sequence.counted);
  const batchTokens = counted.reduce((sum, sequence) => sum + sequence.tokens, 0);
  return sequences.map(({ tokens, counted: isCounted }) => {
    if (!isCounted || tokens === 0) return 0;
    switch (aggregation) {
      case 'sequence-mean':
        return 1 / (counted.length * tokens);
      case 'token-mean':
        return 1 / batchTokens;
      case 'constant':
        return 1 / (counted.length * maxNewTokens);
    }
  });
}

/** The weight of every token of each sequence of one SFT step: the mean over all completion tokens of the step. */
export function sftTokenWeights(tokenCounts: readonly number[]): number[] {
  const batchTokens = tokenCounts.reduce((sum, tokens) => sum + tokens, 0);
  return tokenCounts.map((tokens) => (tokens === 0 ? 0 : 1 / batchTokens));
}
