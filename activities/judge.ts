/** Activities of the judge queue. */
import type { ArtifactRef, PolicyState, RunContext } from './types.ts';
import { askTeacher, type TeacherInput } from './askTeacher.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { judgeAnswers, planSuites, summariseSuites, type JudgeAnswersInput, type SuiteInput } from './judgeSuites.ts';
import { judgeByEndpoint, type ValidationShard } from './judgeValidation.ts';
import { rewardChains, type RewardInput } from './rewardChains.ts';

export function createJudgeActivities(dependencies: ActivityDependencies) {
  return {
    askTeacher: (run: RunContext, input: TeacherInput) => askTeacher(dependencies, run, input),
    rewardChains: (run: RunContext, input: RewardInput) => rewardChains(dependencies, run, input),
    judgeByEndpoint: (run: RunContext, input: ValidationShard) => judgeByEndpoint(dependencies, run, input),
    planSuites: (run: RunContext, input: SuiteInput, model?: ArtifactRef) =>
      planSuites(dependencies, run, input, model),
    judgeAnswers: (run: RunContext, input: JudgeAnswersInput) => judgeAnswers(dependencies, run, input),
    summariseSuites: (run: RunContext, input: SuiteInput & { chains: ArtifactRef; policy: PolicyState }) =>
      summariseSuites(dependencies, run, input),
  };
}

export type JudgeActivities = ReturnType<typeof createJudgeActivities>;
