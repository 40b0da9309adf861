/** What of a configuration the run's workflow goes by. */
import { asksGuardModel } from '../alignment/configuration/optionalRewards.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { validatorJudge } from '../alignment/configuration/validator.ts';
import type { RunPlan } from './types.ts';

export function runPlan(configuration: Configuration): RunPlan {
  const { warmStart, iteration, evaluation, release } = configuration;
  const { probe } = evaluation;
  const { guard } = iteration;
  const validator = iteration.method === 'iterative' ? validatorJudge(iteration.preference) : undefined;
  return {
    warmStart: warmStart.enabled,
    evaluateAfterWarmStart: evaluation.afterWarmStart && iteration.count > 0,
    iterations: iteration.count,
    klReference: iteration.method || iteration.klWeight > 0 ? iteration.klReference : 'none',
    ...(iteration.method ? { preferences: true as const } : {}),
    ...(validator ? { validator } : {}),
    probe: probe.harmful + probe.plain + probe.lookAlike > 0,
    ...(guard ? { guard: { patience: 3, action: 'rollBack', rateFactor: 0.5, maxRollBacks: 3, ...guard } } : {}),
    ...(release
      ? {
          release: {
            approval: release.approval === 'required',
            onTimeout: release.onTimeout ?? 'wait',
            ...(release.timeoutHours === undefined ? {} : { timeoutHours: release.timeoutHours }),
          },
        }
      : {}),
    ...(asksGuardModel(configuration) ? { guardModel: true as const } : {}),
  };
}
