/** Queries and updates of a run, shared by workflows and their clients. */
import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { RunProgress } from '../activities/types.ts';

/** Snapshot of the run, or of the child that is at work. */
export const progressQuery = defineQuery<RunProgress>('progress');
/** Workflow id of the child at work, so that a client can ask it for its shards; null between children. */
export const activeChildQuery = defineQuery<string | null>('activeChild');

/** Each update answers with a sentence that says what will happen. */
export const pauseUpdate = defineUpdate<string>('pause');
export const resumeUpdate = defineUpdate<string>('resume');
export const stopAfterIterationUpdate = defineUpdate<string>('stopAfterIteration');
/** Runs the stage that failed again; only while the run waits for its operator. */
export const retryStageUpdate = defineUpdate<string>('retryStage');
/** Ends a run that waits for its operator; its artifacts stay. */
export const stopRunUpdate = defineUpdate<string>('stopRun');
