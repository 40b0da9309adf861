import type { Value } from '../../graph/builder.ts';
import * as op from '../../graph/operators.ts';
import type { KlEstimator, PolicyGradientObjective } from '../../policy.ts';
import { klEstimate } from './klEstimate.ts';
import { sequenceMeans, sequenceSums } from './sequenceSums.ts';
import type { ObjectiveGraph, SettingOf, TokenStreams } from './tokenStreams.ts';

/**
 * Policy gradient with an importance ratio, as TRL's GRPOTrainer._compute_loss and RLOOTrainer._compute_loss:
 * surrogate * min(pi_old / pi_behaviour, cap) + klWeight KL - entropyWeight H. The weights of the tokens (row mean, token mean, constant) come
 * with the sequences, so GRPO, Dr. GRPO, BNPO and DAPO differ in them only; docs/objectives.md maps every name to its paper.
 */
export function policyGradient(objective: PolicyGradientObjective): ObjectiveGraph {
  const { name, klEstimator, klWeight, importanceCap, entropyWeight = 0 } = objective;
  const penalises = klWeight > 0;
  const inReward = penalises && objective.klPlacement === 'reward';
  const inLoss = penalises && !inReward;
  const corrects = objective.klRatioCorrection ?? false;
  const truncates = importanceCap !== undefined;
  const capped = objective.name !== 'cispo' && objective.ratioCap !== undefined;
  return {
    key: [
      name,
      ...(truncates ? ['truncated'] : []),
      ...(inLoss ? [klEstimator, ...(corrects ? ['corrected'] : [])] : []),
      ...(inReward ? ['penalised', ...(klEstimator === 'k1' ? [] : [klEstimator])] : []),
      ...(capped ? ['capped'] : []),
      ...(entropyWeight !== 0 ? ['entropy'] : []),
    ].join('-'),
    settings: {
      ...(objective.name === 'cispo'
        ? { highest: objective.ratioCap }
        : { lowest: 1 - objective.clipLow, highest: 1 + objective.clipHigh }),
      ...(truncates ? { importanceCap } : {}),
      ...(penalises ? { klWeight } : {}),
      ...(capped ? { ratioCap: objective.ratioCap! } : {}),
      ...(entropyWeight !== 0 ? { entropyWeight } : {}),
    },
    temperature: objective.temperature,
    needsReference: penalises,
    needsSequences: name === 'gspo' || name === 'rloo' || inReward,
    needsEntropy: entropyWeight !== 0,
    tokenLosses(streams, setting) {
      const { logProbs, oldLogProbs, referenceLogProbs, behaviourLogProbs } = streams;
      const ratio = op.exp(logRatio(name, streams));
      const advantages = inReward ? penalisedAdvantages(klEstimator, streams, setting) : streams.advantages;
      let loss =
        name === 'cispo'
          ? weightedLoss(ratio, advantages, logProbs, setting)
          : clippedLoss(ratio, advantages, setting, capped);
      if (truncates) {
        const importance = op.min(op.exp(op.sub(oldLogProbs, behaviourLogProbs)), setting('importanceCap'));
        loss = op.mul(loss, op.stopGradient(importance));
      }
      if (inLoss) {
        const kl = klEstimate(klEstimator, logProbs, referenceLogProbs);
        loss = op.add(loss, op.mul(corrects ? op.mul(kl, ratio) : kl, setting('klWeight')));
      }
      if (entropyWeight !== 0) loss = op.sub(loss, op.mul(streams.entropy!, setting('entropyWeight')));
      const below = name !== 'cispo' && both(op.less(ratio, setting('lowest')), op.less(advantages, 0));
      const clippedHigh = both(op.greater(ratio, setting('highest')), op.greater(advantages, 0));
      return { loss, ...(below ? { clippedLow: below } : {}), clippedHigh };
    },
  };
}

/** log of the importance ratio: of each token, or one of the whole sequence at each of its tokens. */
function logRatio(name: PolicyGradientObjective['name'], streams: TokenStreams): Value {
  const difference = op.sub(streams.logProbs, streams.oldLogProbs);
  switch (name) {
    case 'gspo':
      return sequenceMeans(difference, streams.sequences!);
    case 'rloo':
      return sequenceSums(difference, streams.sequences!);
    case 'grpo':
    case 'cispo':
      return difference;
  }
}

/**
 * A - klWeight * sum over the sequence of the estimate of KL(pi_old || pi_ref): KL as part of the reward, without gradient. It is taken off the advantage,
 * so no baseline or deviation of the group contains it.
 */
function penalisedAdvantages(estimator: KlEstimator, streams: TokenStreams, setting: SettingOf): Value {
  const { advantages, oldLogProbs, referenceLogProbs, sequences } = streams;
  const kl = sequenceSums(klEstimate(estimator, oldLogProbs, referenceLogProbs), sequences!);
  return op.stopGradient(op.sub(advantages, op.mul(kl, setting('klWeight'))));
}

/** -min(ratio A, clip(ratio) A); with a cap, the first ratio goes no higher than it (two-sided clip). */
function clippedLoss(ratio: Value, advantages: Value, setting: SettingOf, capped: boolean): Value {
  const clipped = op.min(op.max(ratio, setting('lowest')), setting('highest'));
  const first = capped ? op.min(ratio, setting('ratioCap')) : ratio;
  return op.neg(op.min(op.mul(first, advantages), op.mul(clipped, advantages)));
}

/** -stop(min(ratio, cap)) A log pi: no token loses its gradient (CISPO). */
function weightedLoss(ratio: Value, advantages: Value, logProbs: Value, setting: SettingOf): Value {
  const weight = op.stopGradient(op.min(ratio, setting('highest')));
  return op.neg(op.mul(op.mul(weight, advantages), logProbs));
}

const both = (a: Value, b: Value) => op.cast(op.and(a, b), 'float32');
