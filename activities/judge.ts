/** Activities of the judge queue. */
import type { ArtifactRef, RunContext } from './types.ts';
import { askTeacher, type TeacherInput } from './askTeacher.ts';
import type { AttackInput } from './attackInputs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import {
  judgeAnswers,
  planSuites,
  summariseSuites,
  type JudgeAnswersInput,
  type SuiteInput,
  type SummaryInput,
} from './judgeSuites.ts';
import { judgeByEndpoint, type ValidationShard } from './judgeValidation.ts';
import { pairRound, type PairRoundInput } from './pairRounds.ts';
import { collectAttacks, planAttacks, type CollectInput } from './planAttacks.ts';
import { rewardChains, type RewardInput } from './rewardChains.ts';
import { rewordQuestions } from './rewordQuestions.ts';
import { translateAnswers } from './translateAnswers.ts';

export function createJudgeActivities(dependencies: ActivityDependencies) {
  return {
    askTeacher: (run: RunContext, input: TeacherInput) => askTeacher(dependencies, run, input),
    rewardChains: (run: RunContext, input: RewardInput) => rewardChains(dependencies, run, input),
    judgeByEndpoint: (run: RunContext, input: ValidationShard) => judgeByEndpoint(dependencies, run, input),
    planAttacks: (run: RunContext, input: AttackInput) => planAttacks(dependencies, run, input),
    rewordQuestions: (run: RunContext, input: AttackInput & { shard: number }) =>
      rewordQuestions(dependencies, run, input),
    pairRound: (run: RunContext, input: PairRoundInput) => pairRound(dependencies, run, input),
    collectAttacks: (run: RunContext, input: CollectInput) => collectAttacks(dependencies, run, input),
    translateAnswers: (run: RunContext, input: AttackInput & { chains: ArtifactRef }) =>
      translateAnswers(dependencies, run, input),
    planSuites: (run: RunContext, input: SuiteInput, model?: ArtifactRef) =>
      planSuites(dependencies, run, input, model),
    judgeAnswers: (run: RunContext, input: JudgeAnswersInput) => judgeAnswers(dependencies, run, input),
    summariseSuites: (run: RunContext, input: SummaryInput) => summariseSuites(dependencies, run, input),
  };
}

export type JudgeActivities = ReturnType<typeof createJudgeActivities>;
