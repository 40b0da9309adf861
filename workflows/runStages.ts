/** Runs the stages of a run one by one: each may be held before it begins, is shown and timed, and where it fails for good waits for the operator. */
import { isCancellation, ParentClosePolicy, workflowInfo } from '@temporalio/workflow';
import { Interrupted, type Operator } from './operator.ts';
import { noteRecord, showCard, stageKey, type RunAtWork } from './runMemory.ts';
import type { Figures } from '../activities/types.ts';

export interface RunStages {
  run<T>(name: string, work: () => Promise<T>, figuresOf?: (outcome: T) => Figures): Promise<T>;
  /** Options of the child workflow that does the stage at work. */
  child(suffix: string): { workflowId: string; parentClosePolicy: ParentClosePolicy };
}

const mostFinishedStages = 24;

export function createRunStages(work: RunAtWork, operator: Operator): RunStages {
  const { memory } = work;
  const { progress } = memory;
  let recorded: string | undefined;
  return {
    async run(name, stageWork, figuresOf = () => ({})) {
      for (;;) {
        await operator.mayProceed();
        const startedAt = Date.now();
        progress.stage = name;
        showCard(work);
        // A finished iteration notes in the record itself how far the run has come: between iterations there is nothing to add.
        if (recorded !== stageKey(name)) await noteRecord(work);
        recorded = stageKey(name);
        try {
          const outcome = await operator.interruptible(stageWork);
          const seconds = (Date.now() - startedAt) / 1000;
          memory.wallSeconds[stageKey(name)] = (memory.wallSeconds[stageKey(name)] ?? 0) + seconds;
          progress.finishedStages.push({ stage: name, seconds, cached: false, figures: figuresOf(outcome) });
          if (progress.finishedStages.length > mostFinishedStages) progress.finishedStages.splice(4, 1);
          return outcome;
        } catch (error) {
          if (isCancellation(error) || error instanceof Interrupted) throw error;
          recorded = undefined;
          await operator.decide(name, error);
        }
      }
    },
    child(suffix) {
      operator.activeChild = `${workflowInfo().workflowId}/${suffix}`;
      return { workflowId: operator.activeChild, parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL };
    },
  };
}
