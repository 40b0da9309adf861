/** Evaluation of one policy on suites of public benchmarks: greedy answers to all questions, their scores, their figures. */
import { setHandler } from '@temporalio/workflow';
import type { ArtifactRef, PolicyState, RunContext } from '../activities/types.ts';
import { askGuardModel, prepareGuardModel } from './guarding.ts';
import { addCosts, searchAttacks } from './attacks.ts';
import { measureFaithfulness } from './faithfulness.ts';
import { activeChildQuery, progressQuery } from './messages.ts';
import { startProgress } from './progress.ts';
import { control, gpu, judge, preparation, runShards } from './stages.ts';
import { planWithVectors } from './vectors.ts';
import type { InferenceArm } from '../alignment/study/inferenceArm.ts';

export interface SuitesInput {
  run: RunContext;
  /** JSON Lines of the questions. */
  questions: ArtifactRef;
  /** Settings of a rubric judge; absent = none is asked. */
  judge?: ArtifactRef;
  /** GuardModelSettings; absent = no guard model is asked. */
  guard?: ArtifactRef;
  /** SearchedAttacks: made against the policy before it is asked; absent = none. */
  attacks?: ArtifactRef;
  /** Absent = the untouched model that the configuration names. */
  policy?: PolicyState;
  /** What stands before each question; absent = nothing. */
  arm?: InferenceArm;
  /** Whether answers follow analyses, too (evaluation.faithfulness of the configuration says of how many pairs). */
  faithfulness?: true;
}

export interface SuitesOutcome {
  result: ArtifactRef;
  /** What was generated. */
  generation: ArtifactRef;
  policy: PolicyState;
  seconds: { generation: number; judging: number; faithfulness?: number };
  peakMemoryBytes: number;
}

export async function evaluateSuites(input: SuitesInput): Promise<SuitesOutcome> {
  const { run, arm, attacks } = input;
  const asked = { questions: input.questions, ...(input.judge ? { judge: input.judge } : {}), ...(arm ? { arm } : {}) };
  const progress = startProgress(run.runId, 'prepare');
  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => null);

  const policy = input.policy ?? {
    model: (
      await preparation.prepareModel.executeWithOptions({ summary: 'resolve, check and publish the model' }, [run])
    ).model,
  };
  const attacked = attacks ? await searchAttacks(run, { ...asked, attacks }, policy, progress) : undefined;
  const questions = attacked?.questions ?? asked.questions;
  const guard = input.guard && { settings: input.guard, model: (await prepareGuardModel(run, input.guard)).model };
  const suite = { ...asked, questions, ...(guard ? { guard } : {}) };
  const plan = await planWithVectors(run, policy.model, progress, () =>
    judge.planSuites.executeWithOptions({ summary: 'cut the questions into shards' }, [run, suite, policy.model]),
  );

  progress.stage = 'answer';
  const generation = await runShards(progress, plan.shards, (shard) =>
    gpu.generateChains.executeWithOptions({ summary: `answers, shard ${shard + 1} of ${plan.shards}` }, [
      run,
      { plan: plan.plan, policy, shard },
    ]),
  );
  const collected = await control.collectChains.executeWithOptions({ summary: `collect ${plan.items} answers` }, [
    run,
    { plan: plan.plan, policy },
  ]);

  const chains = { ...collected };
  if (attacks && attacked?.plan.translateBack) {
    const english = await judge.translateAnswers.executeWithOptions({ summary: 'translate answers' }, [
      run,
      { ...asked, questions, attacks, chains: collected.artifact },
    ]);
    addCosts(attacked.costs, english.costs);
    chains.artifact = english.chains;
  }

  const guarding = guard
    ? await askGuardModel(
        run,
        '',
        { model: guard.model, suite: { questions, settings: guard.settings } },
        chains,
        progress,
      )
    : undefined;
  progress.stage = 'score';
  const scoring = await runShards(progress, chains.scoringShards, (shard) =>
    judge.judgeAnswers.executeWithOptions({ summary: `scores, shard ${shard + 1} of ${chains.scoringShards}` }, [
      run,
      { ...suite, chains: chains.artifact, shard },
    ]),
  );
  const faithfulness = input.faithfulness
    ? await measureFaithfulness(run, 'faithfulness', policy, progress)
    : undefined;
  const { result } = await judge.summariseSuites.executeWithOptions({ summary: 'figures' }, [
    run,
    {
      ...suite,
      chains: chains.artifact,
      policy,
      ...(attacked ? { attackCosts: attacked.costs } : {}),
      ...(faithfulness ? { faithfulness: faithfulness.artifact } : {}),
    },
  ]);
  progress.stage = 'done';
  progress.state = 'done';
  return {
    result,
    generation: plan.plan,
    policy,
    seconds: {
      generation: generation.seconds,
      judging: scoring.seconds + (guarding?.seconds ?? 0),
      ...(faithfulness ? { faithfulness: faithfulness.seconds } : {}),
    },
    peakMemoryBytes: Math.max(
      generation.peakMemoryBytes,
      guarding?.peakMemoryBytes ?? 0,
      faithfulness?.peakMemoryBytes ?? 0,
    ),
  };
}
