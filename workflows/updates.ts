/** What the operator may ask of the run, from the command line or the Temporal UI. What can't be done is refused before it enters the history. */
import { CancellationScope, setHandler, workflowInfo } from '@temporalio/workflow';
import { changeProblems } from '../alignment/configuration/changeableSettings.ts';
import { changeCourse } from './course.ts';
import {
  activeChildQuery,
  cancelRunUpdate,
  changeSettingsUpdate,
  extendUpdate,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  retryStageUpdate,
  rollBackUpdate,
  skipBackOffUpdate,
  stopAfterIterationUpdate,
  stopRunUpdate,
} from './messages.ts';
import type { Operator } from './operator.ts';
import type { RunAtWork } from './runMemory.ts';
import { control } from './stages.ts';
import type { RunState } from '../activities/types.ts';

export function handleUpdates(work: RunAtWork, operator: Operator): void {
  const { memory } = work;
  const { progress } = memory;
  const refuseUnless = (allowed: boolean, message: string): void => {
    if (!allowed) throw new Error(message);
  };
  /** Refuses in other states than these. */
  const only = (states: RunState[], wanted?: string) => () =>
    refuseUnless(states.includes(progress.state), `the run is ${progress.state}${wanted ? `, not ${wanted}` : ''}`);
  const unlessOver = only(['running', 'paused', 'waiting']);
  const waits = only(['waiting'], 'waiting for its operator');

  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => operator.activeChild);
  setHandler(
    pauseUpdate,
    () => {
      progress.state = 'paused';
      return `pauses when "${progress.stage}" has ended`;
    },
    { validator: only(['running'], 'running') },
  );
  setHandler(
    resumeUpdate,
    () => {
      progress.state = 'running';
      return 'goes on';
    },
    { validator: only(['paused'], 'paused') },
  );
  setHandler(
    stopAfterIterationUpdate,
    () => {
      operator.stopAfterIteration = true;
      return `stops after iteration ${progress.iteration}, then evaluates, exports and reports`;
    },
    { validator: only(['running', 'paused']) },
  );
  setHandler(
    cancelRunUpdate,
    async () => {
      // Not with the run: its cancellation must not cancel the answer.
      await CancellationScope.nonCancellable(() =>
        control.requestCancellation.executeWithOptions({ summary: 'cancel: as the operator asks' }, [work.run]),
      );
      return `gives up "${progress.stage}" and ends; what is finished stays in the store, and the same configuration goes on from it`;
    },
    { validator: unlessOver },
  );
  setHandler(
    retryStageUpdate,
    () => {
      operator.answer = 'retry';
      return `runs "${progress.stage}" again`;
    },
    { validator: waits },
  );
  setHandler(
    stopRunUpdate,
    () => {
      operator.answer = 'stop';
      return 'ends the run; its artifacts stay in the store';
    },
    { validator: waits },
  );
  setHandler(
    skipBackOffUpdate,
    () =>
      control.skipBackOff.executeWithOptions({ summary: 'skip back-off: as the operator asks' }, [
        [workflowInfo().workflowId, ...(operator.activeChild ? [operator.activeChild] : [])],
      ]),
    { validator: unlessOver },
  );
  setHandler(
    changeSettingsUpdate,
    async (changes) => {
      const { told } = await changeCourse(work, { kind: 'settings', by: 'operator', changes });
      const from = progress.state === 'waiting' ? 'from the next attempt on' : `from the next iteration on`;
      return `${from} (${told})`;
    },
    {
      validator: (changes) => {
        unlessOver();
        const problems = changeProblems(changes);
        refuseUnless(problems.length === 0, problems.join('; '));
      },
    },
  );
  setHandler(
    rollBackUpdate,
    async (iteration) => {
      const stage = progress.stage;
      const { policy } = await changeCourse(work, { kind: 'rollBack', by: 'operator', rollBackTo: iteration });
      operator.interrupt({ rollBackTo: iteration, policy });
      return `gives up "${stage}" and goes back to ${iteration === 0 ? 'the start of the iterations' : `the policy of iteration ${iteration}`}; next is iteration ${iteration + 1}, with other samples`;
    },
    {
      validator: (iteration) => {
        unlessOver();
        refuseUnless(
          Number.isInteger(iteration) && iteration >= 0 && iteration <= memory.iteration,
          `there is no finished iteration ${JSON.stringify(iteration)} to go back to: write 0 to ${memory.iteration}`,
        );
        refuseUnless(memory.originAdapter !== undefined, 'the run has not come to its iterations yet');
        refuseUnless(operator.newCourse === null, 'the run is going back already');
      },
    },
  );
  setHandler(
    extendUpdate,
    async (more) => {
      await changeCourse(work, { kind: 'extend', by: 'operator', more });
      operator.stopAfterIteration = false;
      return `goes on to iteration ${work.plan.iterations}`;
    },
    {
      validator: (more) => {
        unlessOver();
        refuseUnless(
          Number.isInteger(more) && more > 0 && more <= 100_000,
          `${JSON.stringify(more)} is no number of iterations to add: write 1 or more`,
        );
      },
    },
  );
}
