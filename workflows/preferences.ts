/** The update of an iteration by a preference loss: preferences by reward, log-probabilities of policy and reference in shards, then the plan of its step. */
import type { RewardedChains } from './generation.ts';
import type { PlannedUpdate } from './refill.ts';
import { control, gpu, runShards } from './stages.ts';
import type { ArtifactRef, PolicyState, RunContext, RunProgress } from '../activities/types.ts';

export async function planByPreferences(
  run: RunContext,
  label: string,
  {
    iteration,
    policy,
    reference,
    decision,
  }: { iteration: number; policy: PolicyState; reference: PolicyState; decision?: ArtifactRef | undefined },
  rewarded: RewardedChains,
  progress: RunProgress,
): Promise<PlannedUpdate> {
  const { chains, rewards } = rewarded;
  const planned = await control.planPreferences.executeWithOptions({ summary: `${label}: preferences by reward` }, [
    run,
    { iteration, chains, rewards, ...(decision ? { decision } : {}) },
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
    seconds: { ...rewarded.seconds, score: scored.seconds },
    peakMemoryBytes: Math.max(rewarded.peakMemoryBytes, scored.peakMemoryBytes),
  };
}
