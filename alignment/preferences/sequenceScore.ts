/**
 * Preference losses are functions of sequence log-probabilities only, so their exact gradient is one coefficient a sequence: dLoss/dlog p is the same
 * for every token of it. Training takes two passes: the log-probabilities of all sequences, by which the coefficients are computed here, and then the
 * gradients of the objective `sft` (-log p) with `tokenWeight(coefficient)` as the weight of each token.
 */

/** Log-probabilities of one completion, summed over its tokens. */
export interface SequenceScore {
  logProb: number;
  referenceLogProb: number;
  /** Completion tokens: only losses that normalise by length read it. */
  tokens: number;
}

/** The weight of each token under the objective `sft`, whose loss is weight * -log p, for dLoss/dlogProb of its sequence. */
export function tokenWeight(coefficient: number): number {
  return coefficient === 0 ? 0 : -coefficient;
}

/** log p - log p_ref, of the whole sequence. */
export function logRatio({ logProb, referenceLogProb }: Pick<SequenceScore, 'logProb' | 'referenceLogProb'>): number {
  return logProb - referenceLogProb;
}

export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** -log sigmoid(x), for any x. */
export function negativeLogSigmoid(x: number): number {
  return Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
