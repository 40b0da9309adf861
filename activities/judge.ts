/** Activities of the judge queue. */
import type { RunContext } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { rewardChains, type RewardInput } from './rewardChains.ts';

export function createJudgeActivities(dependencies: ActivityDependencies) {
  return { rewardChains: (run: RunContext, input: RewardInput) => rewardChains(dependencies, run, input) };
}

export type JudgeActivities = ReturnType<typeof createJudgeActivities>;
