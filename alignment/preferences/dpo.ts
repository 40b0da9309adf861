/** Direct preference optimisation: losses on pairs of a chosen and a rejected completion. */
import { logRatio, negativeLogSigmoid, sigmoid } from './sequenceScore.ts';
import type { SequenceScore } from './sequenceScore.ts';

export interface PreferencePair {
  chosen: SequenceScore;
  rejected: SequenceScore;
}

export interface DpoSettings {
  /**
   * Of the margin m = log-ratio of the chosen less that of the rejected:
   *
   * - `sigmoid`: -log sigmoid(beta m) (DPO, Rafailov et al. 2023).
   * - `hinge`: max(0, 1 - beta m) (SLiC, Zhao et al. 2023).
   * - `ipo`: (m - 1 / (2 beta))^2 with log-ratios divided by their number of tokens, as TRL does (IPO, Azar et al. 2023, has the sums).
   * - `sigmoid-norm`: like `sigmoid` with log-ratios divided by their number of tokens.
   * - `robust`: `sigmoid` made unbiased for labels of which a share `labelSmoothing` is turned round (Chowdhury et al. 2024).
   */
  loss: 'sigmoid' | 'hinge' | 'ipo' | 'sigmoid-norm' | 'robust';
  beta: number;
  /** Share of turned labels that `robust` assumes, below 0.5. */
  labelSmoothing?: number;
}

export interface DpoResult {
  /** Mean over pairs. */
  loss: number;
  /** dLoss/dlogProb of both sequences of each pair. */
  coefficients: { chosen: number; rejected: number }[];
  /** beta times the log-ratios: the implicit rewards. */
  rewards: { chosen: number; rejected: number }[];
}

/**
 * Loss, its gradient by the sequences' log-probabilities, and implicit rewards, as TRL's DPOTrainer._compute_loss.
 * @throws RangeError for no pairs, an empty completion of a length-normalised loss, and settings without meaning.
 */
export function dpo(pairs: readonly PreferencePair[], settings: DpoSettings): DpoResult {
  const { beta, loss } = settings;
  if (pairs.length === 0) throw new RangeError('dpo: no pairs');
  if (!(beta > 0)) throw new RangeError(`dpo: beta is ${beta}; it must be above 0`);
  const normalised = loss === 'ipo' || loss === 'sigmoid-norm';
  let total = 0;
  const coefficients = pairs.map((pair, i) => {
    const [chosenLength, rejectedLength] = normalised ? [pair.chosen.tokens, pair.rejected.tokens] : [1, 1];
    if (!(chosenLength > 0 && rejectedLength > 0))
      throw new RangeError(`dpo: pair ${i} has a completion without tokens, and '${loss}' divides by their number`);
    const margin = logRatio(pair.chosen) / chosenLength - logRatio(pair.rejected) / rejectedLength;
    const { value, slope } = lossOf(margin, settings);
    total += value;
    return { chosen: slope / pairs.length / chosenLength, rejected: -slope / pairs.length / rejectedLength };
  });
  const rewards = pairs.map(({ chosen, rejected }) => ({
    chosen: beta * logRatio(chosen),
    rejected: beta * logRatio(rejected),
  }));
  return { loss: total / pairs.length, coefficients, rewards };
}

/** The loss of one pair and its derivative by the margin. */
function lossOf(margin: number, { loss, beta, labelSmoothing = 0 }: DpoSettings): { value: number; slope: number } {
  const x = beta * margin;
  switch (loss) {
    case 'sigmoid':
    case 'sigmoid-norm':
      return { value: negativeLogSigmoid(x), slope: -beta * sigmoid(-x) };
    case 'hinge':
      return { value: Math.max(0, 1 - x), slope: x < 1 ? -beta : 0 };
    case 'ipo': {
      const distance = margin - 1 / (2 * beta);
      return { value: distance ** 2, slope: 2 * distance };
    }
    case 'robust': {
      if (!(labelSmoothing >= 0 && labelSmoothing < 0.5))
        throw new RangeError(`dpo: labelSmoothing is ${labelSmoothing}; 'robust' needs a share from 0 to below 0.5`);
      const [kept, turned] = [1 - labelSmoothing, labelSmoothing].map((share) => share / (1 - 2 * labelSmoothing));
      return {
        value: kept! * negativeLogSigmoid(x) - turned! * negativeLogSigmoid(-x),
        slope: -beta * (kept! * sigmoid(-x) + turned! * sigmoid(x)),
      };
    }
  }
}
