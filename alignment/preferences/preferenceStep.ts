/** One step of DPO or KTO over scored sequences: its coefficients, and what is worth watching. */
import type { PreferenceSettings } from '../configuration/arms.ts';
import { dpo } from './dpo.ts';
import { kto } from './kto.ts';
import { logRatio, type SequenceScore } from './sequenceScore.ts';

export interface PreferenceStep {
  /** dLoss/dlogProb of each sequence, summed over the preferences that it is part of; in the order of its first. */
  coefficients: { id: string; coefficient: number }[];
  figures: Record<string, number>;
}

type Scored = SequenceScore & { id: string };

/**
 * @returns figures: loss; `margin`: mean implicit reward (beta times the log-ratio) of chosen less that of rejected; `accuracy`: share of pairs with a
 *   margin above 0.
 */
export function dpoStep(
  pairs: readonly { chosen: Scored; rejected: Scored }[],
  { beta, dpoLoss, labelSmoothing }: PreferenceSettings,
): PreferenceStep {
  const { loss, coefficients, rewards } = dpo(pairs, { loss: dpoLoss, beta, labelSmoothing });
  const [chosen, rejected] = [mean(rewards.map((pair) => pair.chosen)), mean(rewards.map((pair) => pair.rejected))];
  return {
    coefficients: summed(
      pairs.flatMap((pair, index) => [
        { id: pair.chosen.id, coefficient: coefficients[index]!.chosen },
        { id: pair.rejected.id, coefficient: coefficients[index]!.rejected },
      ]),
    ),
    figures: {
      loss,
      'preference/loss': loss,
      'preference/pairs': pairs.length,
      'preference/reward_chosen': chosen,
      'preference/reward_rejected': rejected,
      'preference/margin': chosen - rejected,
      'preference/accuracy': mean(rewards.map((pair) => (pair.chosen > pair.rejected ? 1 : 0))),
    },
  };
}

/**
 * @returns figures: loss; `margin`: mean implicit reward of desirable less that of undesirable sequences (absent where one of the two is);
 *   `accuracy`: share of sequences on their side of the baseline; the baseline itself, `kl_estimate`.
 */
export function ktoStep(
  sequences: readonly (Scored & { desirable: boolean })[],
  mismatched: readonly Scored[],
  { beta, ktoLoss, desirableWeight, undesirableWeight }: PreferenceSettings,
): PreferenceStep {
  const { loss, coefficients, klEstimate } = kto(sequences, mismatched, {
    ...{ loss: ktoLoss, beta, desirableWeight, undesirableWeight },
  });
  const rewardsOf = (desirable: boolean): number[] =>
    sequences.flatMap((sequence) => (sequence.desirable === desirable ? [beta * logRatio(sequence)] : []));
  const [desirable, undesirable] = [rewardsOf(true), rewardsOf(false)];
  const isRight = (sequence: (typeof sequences)[number]): boolean =>
    sequence.desirable ? logRatio(sequence) > klEstimate : logRatio(sequence) < klEstimate;
  return {
    coefficients: sequences.map(({ id }, index) => ({ id, coefficient: coefficients[index]! })),
    figures: {
      loss,
      'preference/loss': loss,
      'preference/desirable': desirable.length,
      'preference/undesirable': undesirable.length,
      ...(desirable.length > 0 && undesirable.length > 0
        ? { 'preference/margin': mean(desirable) - mean(undesirable) }
        : {}),
      'preference/accuracy': mean(sequences.map((sequence) => (isRight(sequence) ? 1 : 0))),
      'preference/kl_estimate': klEstimate,
    },
  };
}

/** A sequence of several pairs is one sequence of the step. */
function summed(coefficients: PreferenceStep['coefficients']): PreferenceStep['coefficients'] {
  const byId = new Map<string, number>();
  for (const { id, coefficient } of coefficients) byId.set(id, (byId.get(id) ?? 0) + coefficient);
  return [...byId].map(([id, coefficient]) => ({ id, coefficient }));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
