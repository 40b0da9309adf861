/** Queries and updates of a run, shared by workflows and their clients. */
import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { AskedDecision } from '../alignment/governance/decision.ts';
import type { Figures, RunProgress } from '../activities/types.ts';

/** Snapshot of the run, or of the child that is at work. */
export const progressQuery = defineQuery<RunProgress>('progress');
/** Workflow id of the child at work, so that a client can ask it for its shards; null between children. */
export const activeChildQuery = defineQuery<string | null>('activeChild');
/** What of a study is at work: a unit, and the workflow of its run or its answers. */
export const unitsAtWorkQuery = defineQuery<{ unit: string; workflowId: string }[]>('unitsAtWork');

/** Each update answers with a sentence that says what will happen. After what it needs each may be given `{by}`: who asks (Asked in activities/types.ts). */
export const pauseUpdate = defineUpdate<string>('pause');
export const resumeUpdate = defineUpdate<string>('resume');
export const stopAfterIterationUpdate = defineUpdate<string>('stopAfterIteration');
/** Ends the run where it is: what is at work is given up, what is finished stays. */
export const cancelRunUpdate = defineUpdate<string>('cancelRun');
/** Runs the stage that failed again; only while the run waits for its operator. */
export const retryStageUpdate = defineUpdate<string>('retryStage');
/** Ends a run that waits for its operator; its artifacts stay. */
export const stopRunUpdate = defineUpdate<string>('stopRun');
/** Gives what failed and waits for its next attempt that attempt now. */
export const skipBackOffUpdate = defineUpdate<string>('skipBackOff');
/** Other settings from the next iteration on: `{"iteration.learningRate": 0.0001}`; see alignment/configuration/changeableSettings.ts. */
export const changeSettingsUpdate = defineUpdate<string, [Figures]>('changeSettings');
/** Goes back to the policy that an iteration left (0: what the iterations started from) and on from there. */
export const rollBackUpdate = defineUpdate<string, [number]>('rollBack');
/** Promotes the policy that awaits approval: `{"by": "who", "why": "the reason"}`, and `despite` where not all criteria are met. */
export const approveUpdate = defineUpdate<string, [AskedDecision]>('approve');
/** Leaves the policy that awaits approval a candidate. */
export const rejectUpdate = defineUpdate<string, [AskedDecision]>('reject');
/** So many iterations more. */
export const extendUpdate = defineUpdate<string, [number]>('extend');
