/** Chains for a plan, and their rewards: the half that iterations, warm start and evaluations share. */
import { askGuardModel } from './guarding.ts';
import { gpu, judge, control, runShards } from './stages.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, RunProgress, ShardedPlan } from '../activities/types.ts';

export interface RewardedChains {
  plan: ArtifactRef;
  chains: ArtifactRef;
  rewards: ArtifactRef;
  figures: Figures;
  /** Seconds of engine and judge work, by stage; shards found in the store count nothing. */
  seconds: Figures;
  /** The engine's largest resident memory. */
  peakMemoryBytes: number;
}

export async function generateAndReward(
  run: RunContext,
  label: string,
  plan: ShardedPlan,
  policy: PolicyState,
  progress: RunProgress,
): Promise<RewardedChains> {
  progress.stage = `${label}: generate chains`;
  const generation = await runShards(progress, plan.shards, (shard) =>
    gpu.generateChains.executeWithOptions({ summary: `${label}: chains, shard ${shard + 1} of ${plan.shards}` }, [
      run,
      { plan: plan.plan, policy, shard },
    ]),
  );
  const chains = await control.collectChains.executeWithOptions({ summary: `${label}: collect ${plan.items} chains` }, [
    run,
    { plan: plan.plan, policy },
  ]);

  const guarding = run.guardModel
    ? await askGuardModel(run, `${label}: `, { model: run.guardModel }, chains, progress)
    : undefined;
  progress.stage = `${label}: reward chains`;
  const scoring = await runShards(progress, chains.scoringShards, (shard) =>
    judge.rewardChains.executeWithOptions(
      { summary: `${label}: rewards, shard ${shard + 1} of ${chains.scoringShards}` },
      [run, { chains: chains.artifact, shard }],
    ),
  );
  const rewards = await control.collectRewards.executeWithOptions({ summary: `${label}: collect rewards` }, [
    run,
    { chains: chains.artifact },
  ]);
  if (rewards.figures['reward'] !== undefined) progress.meanReward = rewards.figures['reward'];

  return {
    plan: plan.plan,
    chains: chains.artifact,
    rewards: rewards.artifact,
    figures: {
      ...chains.figures,
      ...rewards.figures,
      ...(generation.seconds > 0 ? { 'generation/tokens_per_second': generation.tokens / generation.seconds } : {}),
    },
    seconds: {
      generate: generation.seconds,
      ...(guarding ? { guard: guarding.seconds } : {}),
      reward: scoring.seconds,
    },
    peakMemoryBytes: Math.max(generation.peakMemoryBytes, guarding?.peakMemoryBytes ?? 0),
  };
}
