import type { Value } from '../../graph/builder.ts';

/** Named per-token inputs of an objective, each [tokens], one row a completion token. */
export interface TokenStreams {
  /** log p under the policy being trained, logits divided by the temperature: the one stream that carries a gradient. */
  logProbs: Value;
  /** log p where the importance ratio starts; equals `logProbs` without gradient for sequences that give none. */
  oldLogProbs: Value;
  /** log p under the reference policy. */
  referenceLogProbs: Value;
  /** log p under the distribution that the tokens were drawn from; equals `oldLogProbs` for sequences that give none. */
  behaviourLogProbs: Value;
  advantages: Value;
  /** Only for objectives that ask for it (`needsSequences`). */
  sequences?: SequenceStreams;
  /** Entropy of the next-token distribution, with its gradient; only for objectives that ask for it (`needsEntropy`). */
  entropy?: Value;
}

/** Which tokens make up a sequence. */
export interface SequenceStreams {
  /** Number of the token's sequence, int64 in [0, tokens). */
  indices: Value;
  /** 1 where the token has a weight in the loss, else 0. */
  members: Value;
}

/** What an objective computes of each token, each [tokens]. What is minimised is the sum of weight * loss. */
export interface TokenLosses {
  loss: Value;
  /** 1 where the ratio was clipped from below (negative advantage) or from above (positive advantage), else 0. */
  clippedLow?: Value;
  clippedHigh?: Value;
}

export type SettingOf = (name: string) => Value;

export interface ObjectiveGraph {
  /** Names the graph: objectives with the same key differ in numbers only. */
  key: string;
  /** Numbers fed at run time, so that changing them needs no new graph. */
  settings: Readonly<Record<string, number>>;
  temperature: number;
  needsReference: boolean;
  needsSequences?: boolean;
  needsEntropy?: boolean;
  tokenLosses(streams: TokenStreams, setting: SettingOf): TokenLosses;
}
