/** The update of an iteration by a preference loss: preferences by reward, log-probabilities of policy and reference in shards, then the plan of its step. */
import type { RewardedChains } from './generation.ts';
import type { PlannedUpdate } from './refill.ts';
import { control, gpu, runShards } from './stages.ts';
import type { ArtifactRef, PolicyState, RunContext, RunProgress, ShardedPlan } from '../activities/types.ts';

export async function planByPreferences(
  run: RunContext,
  label: string,
  {
    iteration,
    policy,
    reference,
    decision,
    plan,
  }: {
    iteration: number;
    policy: PolicyState;
    reference: PolicyState;
    decision?: ArtifactRef | undefined;
    /** Of the chains. */
    plan: ShardedPlan;
  },
  rewarded: RewardedChains,
  progress: RunProgress,
): Promise<PlannedUpdate> {
  const { chains, rewards } = rewarded;
  const beliefs = plan.badBeliefs ? await drawBadBeliefs(run, label, plan, policy, progress) : undefined;
  const planned = await control.planPreferences.executeWithOptions({ summary: `${label}: preferences by reward` }, [
    run,
    {
      ...{ iteration, chains, rewards },
      ...(decision ? { decision } : {}),
      ...(beliefs ? { badBeliefs: { plan: beliefs.plan, policy } } : {}),
    },
  ]);
  progress.stage = `${label}: score preferences`;
  const scoring = { preferences: planned.plan, policy, reference };
  const scored = await runShards(progress, planned.shards, (shard) =>
    gpu.scorePreferences.executeWithOptions(
      { summary: `${label}: log-probabilities, shard ${shard + 1} of ${planned.shards}` },
      [run, { ...scoring, shard }],
    ),
  );
  const update = await control.planPreferenceUpdate.executeWithOptions({ summary: `${label}: preference loss` }, [
    run,
    { ...scoring, iteration },
  ]);
  return {
    update,
    refills: [],
    preferences: planned.plan,
    seconds: { ...rewarded.seconds, score: scored.seconds, ...(beliefs ? { 'bad beliefs': beliefs.seconds } : {}) },
    peakMemoryBytes: Math.max(rewarded.peakMemoryBytes, scored.peakMemoryBytes, beliefs?.peakMemoryBytes ?? 0),
  };
}

/** Chains under a wrong belief, for the requests of the plan: nothing but preferences reads them. */
async function drawBadBeliefs(
  run: RunContext,
  label: string,
  own: ShardedPlan,
  policy: PolicyState,
  progress: RunProgress,
): Promise<{ plan: ArtifactRef; seconds: number; peakMemoryBytes: number }> {
  const { plan, shards } = await control.planBadBeliefs.executeWithOptions(
    { summary: `${label}: prompts with a wrong belief` },
    [run, { plan: own.plan }],
  );
  progress.stage = `${label}: chains to be rejected`;
  const drawn = await runShards(progress, shards, (shard) =>
    gpu.generateChains.executeWithOptions(
      { summary: `${label}: chains to be rejected, shard ${shard + 1} of ${shards}` },
      [run, { plan, policy, shard }],
    ),
  );
  return { plan, seconds: drawn.seconds, peakMemoryBytes: drawn.peakMemoryBytes };
}
