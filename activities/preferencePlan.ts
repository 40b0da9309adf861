/** The artifacts by which a preference step goes from rewarded chains to gradients. */
import type { ArtifactRef } from './types.ts';

/** A prompt and a completion whose log-probabilities the loss needs. */
export interface PreferenceSequence {
  id: string;
  promptTokens: number[];
  completionTokens: number[];
}

/** What one shard of scoring works on; its digest is part of the shard's step key. */
export interface PreferenceShard {
  sequences: PreferenceSequence[];
}

/** Sequences are named by their ids. */
export type PreferencePlan = {
  shards: ArtifactRef[];
  /** Plan of the chains under a wrong belief, whose ids end in `/bad-belief`. */
  badBeliefs?: ArtifactRef;
} & (
  | { method: 'dpo'; pairs: { chosen: string; rejected: string }[] }
  | { method: 'kto'; labelled: { id: string; desirable: boolean }[]; mismatched: string[] }
);

/** What policy and reference say of one sequence, summed over its completion tokens. */
export interface PreferenceScore {
  id: string;
  logProb: number;
  referenceLogProb: number;
  tokens: number;
  /** The k3 estimate of KL, summed over the tokens. */
  kl: number;
}

/**
 * Sequences of the same prompt as neighbours, in the order in which prompts and sequences first appear: what is not the policy's own (a chain of a wrong
 * belief, of a mark, of another request) is planned after all that is, but the engine computes the prompt of neighbours once.
 */
export const gatherPrompts = <T extends Pick<PreferenceSequence, 'promptTokens'>>(sequences: readonly T[]): T[] =>
  [...Map.groupBy(sequences, ({ promptTokens }) => promptTokens.join()).values()].flat();
