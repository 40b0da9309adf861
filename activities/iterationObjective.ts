/** The engine's objective for the settings of an iteration. */
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { Objective } from '../engine/policy.ts';

/**
 * Part of every gradient's step key, so settings that are off leave no trace: a run from before they existed keeps its keys.
 * The schema has refused what does not go together.
 */
export function iterationObjective(iteration: Configuration['iteration']): Objective {
  const { objective, klWeight, ratioCap } = iteration;
  const shared = {
    klWeight,
    klEstimator: iteration.klEstimator,
    temperature: iteration.temperature,
    ...(iteration.klRatioCorrection ? { klRatioCorrection: true } : {}),
    ...(klWeight > 0 && iteration.klPlacement === 'reward' ? { klPlacement: 'reward' as const } : {}),
    ...(iteration.entropyWeight > 0 ? { entropyWeight: iteration.entropyWeight } : {}),
    ...(iteration.guidance === 'raw' && !iteration.generationWeights ? {} : { importanceCap: iteration.importanceCap }),
  };
  if (objective === 'cispo') return { name: 'cispo', ratioCap, ...shared };
  return {
    // REINFORCE++ is the loss of GRPO with other advantages and KL in the reward.
    name: objective === 'reinforce++' ? 'grpo' : objective,
    clipLow: iteration.clipLow,
    clipHigh: iteration.clipHigh,
    ...(ratioCap > 0 ? { ratioCap } : {}),
    ...shared,
  };
}
