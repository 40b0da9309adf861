/** The validator of iterative preference training: answers to a validation split, judged, and what they say about the method of the next cycle. */
import { generateAndReward } from './generation.ts';
import { control, gpu, judge, runShards } from './stages.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, RunProgress } from '../activities/types.ts';

export interface Validated {
  decision: ArtifactRef;
  figures: Figures;
  /** Early stop: why the policy is given up. */
  rejected?: string;
  seconds: number;
  peakMemoryBytes: number;
}

/** @param validated.cycle the one that ended with the policy; 0 = before the first. */
export async function validatePolicy(
  run: RunContext,
  label: string,
  validated: { by: 'rules' | 'self' | 'endpoint'; cycle: number; policy: PolicyState; before?: ArtifactRef },
  progress: RunProgress,
): Promise<Validated> {
  const { by, cycle, policy, before } = validated;
  const plan = await control.selectRequests.executeWithOptions({ summary: `${label}: choose requests` }, [
    run,
    { kind: 'validation' },
  ]);
  const rewarded = await generateAndReward(run, label, plan, policy, progress);
  const { chains, rewards } = rewarded;
  let { peakMemoryBytes } = rewarded;
  let seconds = rewarded.seconds['generate']! + rewarded.seconds['reward']!;
  if (by !== 'rules') {
    progress.stage = `${label}: judge answers`;
    const judged = await runShards(progress, plan.shards, (shard) => {
      const options = { summary: `${label}: judged by ${by}, shard ${shard + 1} of ${plan.shards}` };
      const input = { chains, policy, shard };
      return by === 'self'
        ? gpu.judgeByPolicy.executeWithOptions(options, [run, input])
        : judge.judgeByEndpoint.executeWithOptions(options, [run, input]);
    });
    seconds += judged.seconds;
    peakMemoryBytes = Math.max(peakMemoryBytes, judged.peakMemoryBytes);
  }
  const chosen = await control.chooseMethod.executeWithOptions({ summary: `${label}: KTO or DPO next` }, [
    run,
    { cycle, policy, chains, rewards, ...(before ? { before } : {}) },
  ]);
  const tokens = rewarded.figures['num_tokens'];
  return {
    ...chosen,
    figures: { ...chosen.figures, ...(tokens === undefined ? {} : { 'validation/num_tokens': tokens }) },
    seconds,
    peakMemoryBytes,
  };
}
