/** The guard model's part of an evaluation or an iteration: it reads all final responses, by the engine, so on the gpu workers. */
import { gpu, preparation, runShards, type ShardTotals } from './stages.ts';
import type { ChainsOutcome } from '../activities/collectChains.ts';
import type { GuardSubject } from '../activities/guardChains.ts';
import type { ArtifactRef, RunContext, RunProgress } from '../activities/types.ts';

/** @param settings GuardModelSettings; absent = `guardModel` of the run's configuration. */
export function prepareGuardModel(
  run: RunContext,
  settings?: ArtifactRef,
): Promise<{ model: ArtifactRef; notes?: string[] }> {
  return preparation.prepareGuardModel.executeWithOptions({ summary: 'resolve, check and publish the guard model' }, [
    run,
    settings ? { settings } : {},
  ]);
}

/** @param label what stands before the stage's name in progress and summaries. */
export function askGuardModel(
  run: RunContext,
  label: string,
  subject: GuardSubject,
  { artifact, scoringShards }: ChainsOutcome,
  progress: RunProgress,
): Promise<ShardTotals> {
  progress.stage = `${label}guard model`;
  return runShards(progress, scoringShards, (shard) =>
    gpu.guardChains.executeWithOptions({ summary: `${label}guard model, shard ${shard + 1} of ${scoringShards}` }, [
      run,
      { ...subject, chains: artifact, shard },
    ]),
  );
}
