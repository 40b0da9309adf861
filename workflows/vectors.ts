/** Plans whose cases are chosen by embeddings: where vectors are missing, the policy's own model makes them first. */
import { ApplicationFailure } from '@temporalio/workflow';
import { gpu, runShards } from './stages.ts';
import type { ArtifactRef, RunContext, RunProgress, ShardedPlan } from '../activities/types.ts';

/** @param plan asks for the plan; asked once more when the texts that it lacked have vectors */
export async function planWithVectors(
  run: RunContext,
  model: ArtifactRef,
  progress: RunProgress,
  plan: () => Promise<ShardedPlan>,
): Promise<ShardedPlan> {
  const first = await plan();
  if (!first.unembedded) return first;
  const { plan: texts, shards } = first.unembedded;
  const stage = progress.stage;
  progress.stage = `${stage}: embed requests and cases`;
  await runShards(progress, shards, (shard) =>
    gpu.embedTexts.executeWithOptions({ summary: `vectors of requests and cases, shard ${shard + 1} of ${shards}` }, [
      run,
      { plan: texts, shard, model },
    ]),
  );
  progress.stage = stage;
  const second = await plan();
  if (second.unembedded)
    throw ApplicationFailure.nonRetryable(
      'vectors that were just made are not in the store: was an artifact removed?',
      'VectorsMissing',
    );
  return second;
}
