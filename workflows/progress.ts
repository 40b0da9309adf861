/** The progress snapshot that workflows keep and queries answer. */
import type { RunProgress } from '../activities/types.ts';

export function startProgress(runId: string, stage: string, iteration = 0, iterations = 0): RunProgress {
  return {
    runId,
    state: 'running',
    stage,
    iteration,
    iterations,
    shardsDone: 0,
    shardsTotal: 0,
    notes: [],
    finishedStages: [],
  };
}
