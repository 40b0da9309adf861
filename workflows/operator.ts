import { ApplicationFailure, condition, log, setHandler } from '@temporalio/workflow';
import {
  activeChildQuery,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  retryStageUpdate,
  stopAfterIterationUpdate,
  stopRunUpdate,
} from './messages.ts';
import { noteRecord, showCard, type RunMemory, type RunPlan } from './runMemory.ts';
import type { RunContext } from '../activities/types.ts';

/** What the operator may ask of the run, and what the run asks of its operator. */
export function handleMessages(run: RunContext, plan: RunPlan, memory: RunMemory) {
  const { progress } = memory;
  const operator = {
    activeChild: null as string | null,
    stopAfterIteration: false,
    answer: null as 'retry' | 'stop' | null,
    async mayProceed(): Promise<void> {
      if (progress.state !== 'paused') return;
      showCard(run, plan, memory);
      await noteRecord(run, plan, memory);
      await condition(() => progress.state !== 'paused');
    },
    /** Waits for the operator after a stage has failed for good. Returns to retry; throws to stop. */
    async decide(stage: string, error: unknown): Promise<void> {
      // Before the run is seen to wait: an answer may come while the record is still being saved.
      operator.answer = null;
      progress.state = 'waiting';
      progress.cause = `${stage}: ${rootCause(error)}`;
      log.error('A stage has failed for good; the run waits for its operator', { stage, cause: progress.cause });
      showCard(run, plan, memory);
      await noteRecord(run, plan, memory);
      await condition(() => operator.answer !== null);
      const cause = progress.cause;
      delete progress.cause;
      if (operator.answer === 'stop') {
        progress.state = 'failed';
        progress.cause = cause;
        await noteRecord(run, plan, memory);
        throw ApplicationFailure.nonRetryable(`stopped by the operator after: ${cause}`, 'StoppedByOperator');
      }
      progress.state = 'running';
    },
  };

  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => operator.activeChild);
  const refuseUnless = (allowed: boolean, message: string): void => {
    if (!allowed) throw new Error(message);
  };
  setHandler(
    pauseUpdate,
    () => {
      progress.state = 'paused';
      return `pauses when "${progress.stage}" has ended`;
    },
    { validator: () => refuseUnless(progress.state === 'running', `the run is ${progress.state}, not running`) },
  );
  setHandler(
    resumeUpdate,
    () => {
      progress.state = 'running';
      return 'goes on';
    },
    { validator: () => refuseUnless(progress.state === 'paused', `the run is ${progress.state}, not paused`) },
  );
  setHandler(
    stopAfterIterationUpdate,
    () => {
      operator.stopAfterIteration = true;
      return `stops after iteration ${progress.iteration}, then evaluates, exports and reports`;
    },
    {
      validator: () =>
        refuseUnless(progress.state === 'running' || progress.state === 'paused', `the run is ${progress.state}`),
    },
  );
  const waiting = {
    validator: () =>
      refuseUnless(progress.state === 'waiting', `the run is ${progress.state}, not waiting for its operator`),
  };
  setHandler(
    retryStageUpdate,
    () => {
      operator.answer = 'retry';
      return `runs "${progress.stage}" again`;
    },
    waiting,
  );
  setHandler(
    stopRunUpdate,
    () => {
      operator.answer = 'stop';
      return 'ends the run; its artifacts stay in the store';
    },
    waiting,
  );
  return operator;
}

function rootCause(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  return cause instanceof Error ? cause.message : String(cause);
}
