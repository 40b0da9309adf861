/** A cluster of instant stages for the tests of one file, and what they read of its runs. */
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { CourseChange, IterationRecord, RunProgress } from '../../activities/types.ts';
import { lineOf } from '../../cli/operate/resuming.ts';
import { listCourse } from '../../infra/artifacts/runs.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { eventually } from '../servers/temporalServer.ts';
import { startInstantCluster, type InstantCluster, type Step } from './instantStages.ts';

export const progressOf = (handle: WorkflowHandle): Promise<RunProgress> => handle.query(progressQuery);
export const waits = (handle: WorkflowHandle) =>
  eventually('the run waits', async () => (await progressOf(handle)).state === 'waiting');

/** Starts the cluster before the file's tests, stops it after them, and empties script and calls before each. */
export function steeredRuns() {
  let cluster: InstantCluster;
  beforeAll(async () => {
    cluster = await startInstantCluster();
  }, 120_000);
  afterAll(() => cluster?.stop());
  beforeEach(() => {
    cluster.script = { generationShards: 1 };
    cluster.calls.length = 0;
  });
  return {
    cluster: () => cluster,
    linesOf: async (runId: string): Promise<IterationRecord[]> => lineOf(cluster.store, await cluster.record(runId)),
    courseOf: (runId: string) => listCourse<CourseChange>(cluster.store, runId),
    /** Learning rate and epoch by iteration, of the steps that were taken. */
    steps: (): Step[] => cluster.calls.flatMap(({ stage, step }) => (stage === 'updatePolicy' && step ? [step] : [])),
  };
}
