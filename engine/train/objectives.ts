import type { Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import type { KlEstimator, Objective } from '../policy.ts';

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
}

/** What an objective computes of each token, each [tokens]. What is minimised is the sum of weight * loss. */
export interface TokenLosses {
  loss: Value;
  /** 1 where the ratio was clipped from below (negative advantage) or from above (positive advantage), else 0. */
  clippedLow?: Value;
  clippedHigh?: Value;
}

type SettingOf = (name: string) => Value;

export interface ObjectiveGraph {
  /** Names the graph: objectives with the same key differ in numbers only. */
  key: string;
  /** Numbers fed at run time, so that changing them needs no new graph. */
  settings: Readonly<Record<string, number>>;
  temperature: number;
  needsReference: boolean;
  tokenLosses(streams: TokenStreams, setting: SettingOf): TokenLosses;
}

/** The graph function of an objective. */
export function objectiveGraph(objective: Objective): ObjectiveGraph {
  return objective.name === 'sft' ? SFT : grpo(objective);
}

/** Negative log-likelihood. */
const SFT: ObjectiveGraph = {
  key: 'sft',
  settings: {},
  temperature: 1,
  needsReference: false,
  tokenLosses: ({ logProbs }) => ({ loss: op.neg(logProbs) }),
};

/**
 * Clipped policy gradient with asymmetric bounds, truncated importance weight and KL penalty, as TRL's GRPOTrainer._compute_loss:
 * -min(ratio A, clip(ratio) A) * min(pi_old / pi_behaviour, cap) + klWeight KL. The weights of the tokens (row mean, token mean, constant)
 * come with the sequences, so GRPO, Dr. GRPO, BNPO and DAPO differ in them only.
 */
function grpo(objective: Extract<Objective, { name: 'grpo' }>): ObjectiveGraph {
  const truncates = objective.importanceCap !== undefined;
  const penalises = objective.klWeight > 0;
  const corrects = objective.klRatioCorrection ?? false;
  return {
    key: [
      'grpo',
      ...(truncates ? ['truncated'] : []),
      ...(penalises ? [objective.klEstimator, ...(corrects ? ['corrected'] : [])] : []),
    ].join('-'),
    settings: {
      lowest: 1 - objective.clipLow,
      highest: 1 + objective.clipHigh,
      ...(truncates ? { importanceCap: objective.importanceCap! } : {}),
      ...(penalises ? { klWeight: objective.klWeight } : {}),
    },
    temperature: objective.temperature,
    needsReference: penalises,
    tokenLosses({ logProbs, oldLogProbs, referenceLogProbs, behaviourLogProbs, advantages }, setting) {
      const ratio = op.exp(op.sub(logProbs, oldLogProbs));
      const clipped = op.min(op.max(ratio, setting('lowest')), setting('highest'));
      let loss = op.neg(op.min(op.mul(ratio, advantages), op.mul(clipped, advantages)));
      if (truncates) {
        const importance = op.min(op.exp(op.sub(oldLogProbs, behaviourLogProbs)), setting('importanceCap'));
        loss = op.mul(loss, op.stopGradient(importance));
      }
      if (penalises) {
        const kl = klEstimate(objective.klEstimator, logProbs, referenceLogProbs);
        loss = op.add(loss, op.mul(corrects ? op.mul(kl, ratio) : kl, setting('klWeight')));
      }
      const both = (a: Value, b: Value) => op.cast(op.and(a, b), 'float32');
      return {
        loss,
        clippedLow: both(op.less(ratio, setting('lowest')), op.less(advantages, 0)),
        clippedHigh: both(op.greater(ratio, setting('highest')), op.greater(advantages, 0)),
      };
    },
  };
}

/** Estimators of KL(policy || reference) from one sample, http://joschu.net/blog/kl-approx.html. */
export function klEstimate(estimator: KlEstimator, logProbs: Value, referenceLogProbs: Value): Value {
  const difference = op.sub(referenceLogProbs, logProbs);
  switch (estimator) {
    case 'k1':
      return op.neg(difference);
    case 'k2':
      return op.mul(op.mul(difference, difference), 0.5);
    case 'k3':
      return op.sub(op.sub(op.exp(difference), difference), 1);
  }
}
