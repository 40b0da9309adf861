/** Kahneman-Tversky optimisation (Ethayarajh et al. 2024): a loss on completions that are each labelled desirable or not, without pairs. */
import { logRatio, sigmoid } from './sequenceScore.ts';
import type { SequenceScore } from './sequenceScore.ts';

export interface LabelledSequence extends Omit<SequenceScore, 'tokens'> {
  desirable: boolean;
}

export interface KtoSettings {
  /** `kto`: measured from an estimate of the KL divergence; `apo-zero`: measured from 0 (APO-zero, D'Oosterlinck et al. 2024; TRL's apo_zero_unpaired). */
  loss: 'kto' | 'apo-zero';
  beta: number;
  /** Weights of the two labels, for batches with more of one than of the other. */
  desirableWeight: number;
  undesirableWeight: number;
}

export interface KtoResult {
  /** Mean over sequences. */
  loss: number;
  /** dLoss/dlogProb of each sequence. */
  coefficients: number[];
  /** The baseline z, in nats. */
  klEstimate: number;
}

/**
 * Loss and its gradient by the sequences' log-probabilities, as TRL's KTOTrainer._compute_loss: w (1 - sigmoid(beta (l - z))) for desirable,
 * w (1 - sigmoid(beta (z - l))) for undesirable sequences, l = log p - log p_ref.
 * @param mismatched prompts with the completion of another request: z = max(0, mean of their log-ratios), without gradient. Not read by `apo-zero`.
 * @throws RangeError for an empty batch, missing mismatched pairs or a beta that is not above 0.
 */
export function kto(
  sequences: readonly LabelledSequence[],
  mismatched: readonly Omit<SequenceScore, 'tokens'>[],
  settings: KtoSettings,
): KtoResult {
  const { loss, beta, desirableWeight, undesirableWeight } = settings;
  if (sequences.length === 0) throw new RangeError('kto: no sequences');
  if (!(beta > 0)) throw new RangeError(`kto: beta is ${beta}; it must be above 0`);
  if (loss === 'kto' && mismatched.length === 0)
    throw new RangeError("kto: no mismatched pairs to estimate KL by: give some, or use 'apo-zero'");
  const meanRatio = mismatched.reduce((sum, score) => sum + logRatio(score), 0) / mismatched.length;
  const klEstimate = loss === 'kto' ? Math.max(0, meanRatio) : 0;
  let total = 0;
  const coefficients = sequences.map((sequence) => {
    const [direction, weight] = sequence.desirable ? [1, desirableWeight] : [-1, undesirableWeight];
    const value = sigmoid(direction * beta * (logRatio(sequence) - klEstimate));
    total += weight * (1 - value);
    return (-direction * weight * beta * value * (1 - value)) / sequences.length;
  });
  return { loss: total / sequences.length, coefficients, klEstimate };
}
