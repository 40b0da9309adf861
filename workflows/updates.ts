/** What the operator may ask of the run, from the command line or the Temporal UI. What can't be done is refused before it enters the history. */
import { CancellationScope, setHandler, workflowInfo } from '@temporalio/workflow';
import { changeProblems } from '../alignment/configuration/changeableSettings.ts';
import { decisionProblems, type AskedDecision } from '../alignment/governance/decision.ts';
import { refuseNameless, tellAudit } from './auditing.ts';
import { changeCourse } from './course.ts';
import {
  activeChildQuery,
  approveUpdate,
  cancelRunUpdate,
  changeSettingsUpdate,
  extendUpdate,
  pauseUpdate,
  progressQuery,
  rejectUpdate,
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
import type { Asked, RunState } from '../activities/types.ts';

/** Of a failure's text, in the audit log. */
const longestCause = 500;

const byOperator = (asked: Asked | undefined) => ({
  by: 'operator' as const,
  ...(asked?.by ? { operator: asked.by } : {}),
});

export function handleUpdates(work: RunAtWork, operator: Operator): void {
  const { memory } = work;
  const { progress } = memory;
  const refuseUnless = (allowed: boolean, message: string): void => {
    if (!allowed) throw new Error(message);
  };
  /** Refuses in other states than these. */
  const only =
    (states: RunState[], wanted?: string) =>
    (asked?: Asked): void => {
      refuseUnless(states.includes(progress.state), `the run is ${progress.state}${wanted ? `, not ${wanted}` : ''}`);
      refuseNameless(asked);
    };
  const unlessOver = only(['running', 'paused', 'waiting', 'awaiting approval']);
  const waits = only(['waiting'], 'waiting for its operator');

  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => operator.activeChild);
  setHandler(
    pauseUpdate,
    async (asked?: Asked) => {
      progress.state = 'paused';
      const { stage } = progress;
      await tellAudit(work, asked, { what: 'pause', details: { stage } });
      return `pauses when "${stage}" has ended`;
    },
    { validator: only(['running'], 'running') },
  );
  setHandler(
    resumeUpdate,
    async (asked?: Asked) => {
      progress.state = 'running';
      await tellAudit(work, asked, { what: 'resume', details: { stage: progress.stage } });
      return 'goes on';
    },
    { validator: only(['paused'], 'paused') },
  );
  setHandler(
    stopAfterIterationUpdate,
    async (asked?: Asked) => {
      operator.stopAfterIteration = true;
      const { iteration } = progress;
      await tellAudit(work, asked, { what: 'stop', details: { afterIteration: iteration } });
      return `stops after iteration ${iteration}, then evaluates, exports and reports`;
    },
    { validator: only(['running', 'paused']) },
  );
  setHandler(
    cancelRunUpdate,
    async (asked?: Asked) => {
      await tellAudit(work, asked, { what: 'cancel', details: { stage: progress.stage } });
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
    async (asked?: Asked) => {
      operator.answer = 'retry';
      const { stage, cause = '' } = progress;
      await tellAudit(work, asked, { what: 'retry', details: { stage, cause: cause.slice(0, longestCause) } });
      return `runs "${stage}" again`;
    },
    { validator: waits },
  );
  setHandler(
    stopRunUpdate,
    async (asked?: Asked) => {
      operator.answer = 'stop';
      const { stage, cause = '' } = progress;
      await tellAudit(work, asked, { what: 'stop', details: { stage, cause: cause.slice(0, longestCause) } });
      return 'ends the run; its artifacts stay in the store';
    },
    { validator: waits },
  );
  setHandler(
    skipBackOffUpdate,
    async (asked?: Asked) => {
      const outcome = await control.skipBackOff.executeWithOptions({ summary: 'skip back-off: as the operator asks' }, [
        [workflowInfo().workflowId, ...(operator.activeChild ? [operator.activeChild] : [])],
      ]);
      const { stage } = progress;
      await tellAudit(work, asked, {
        what: 'skip back-off',
        details: { stage, outcome: outcome.slice(0, longestCause) },
      });
      return outcome;
    },
    { validator: unlessOver },
  );
  setHandler(
    changeSettingsUpdate,
    async (changes, asked?: Asked) => {
      const { told } = await changeCourse(work, { kind: 'settings', ...byOperator(asked), changes });
      const from = progress.state === 'waiting' ? 'from the next attempt on' : `from the next iteration on`;
      return `${from} (${told})`;
    },
    {
      validator: (changes, asked?: Asked) => {
        unlessOver(asked);
        const problems = changeProblems(changes);
        refuseUnless(problems.length === 0, problems.join('; '));
      },
    },
  );
  setHandler(
    rollBackUpdate,
    async (iteration, asked?: Asked) => {
      const stage = progress.stage;
      const { policy } = await changeCourse(work, { kind: 'rollBack', ...byOperator(asked), rollBackTo: iteration });
      operator.interrupt({ rollBackTo: iteration, policy });
      return `gives up "${stage}" and goes back to ${iteration === 0 ? 'the start of the iterations' : `the policy of iteration ${iteration}`}; next is iteration ${iteration + 1}, with other samples`;
    },
    {
      validator: (iteration, asked?: Asked) => {
        unlessOver(asked);
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
    async (more, asked?: Asked) => {
      await changeCourse(work, { kind: 'extend', ...byOperator(asked), more });
      operator.stopAfterIteration = false;
      return `goes on to iteration ${work.plan.iterations}`;
    },
    {
      validator: (more, asked?: Asked) => {
        unlessOver(asked);
        refuseUnless(
          Number.isInteger(more) && more > 0 && more <= 100_000,
          `${JSON.stringify(more)} is no number of iterations to add: write 1 or more`,
        );
      },
    },
  );
  const refuseDecision = (decision: AskedDecision): void => {
    only(['awaiting approval'], 'awaiting approval')();
    const problems = decisionProblems(decision);
    refuseUnless(problems.length === 0, problems.join('; '));
    refuseUnless(memory.release?.decision === undefined, 'it has been decided already');
  };
  const decide = (outcome: 'approved' | 'rejected', { by, why, despite }: AskedDecision): void => {
    const at = new Date().toISOString();
    memory.release!.decision = { outcome, by, why, ...(despite ? { despite } : {}), at };
  };
  setHandler(
    approveUpdate,
    (decision) => {
      decide('approved', decision);
      return 'approved: the policy is promoted, and the run ends';
    },
    {
      validator: (decision) => {
        refuseDecision(decision);
        const { met, told } = memory.release!;
        refuseUnless(
          met || decision.despite !== undefined,
          `${told}; to release it all the same, say why: --despite "the reason" ("despite" in the update)`,
        );
        refuseUnless(!met || decision.despite === undefined, 'all criteria are met: leave "despite" out');
      },
    },
  );
  setHandler(
    rejectUpdate,
    (decision) => {
      decide('rejected', decision);
      return 'rejected: the policy stays a candidate, its artifacts stay in the store, and the run ends';
    },
    {
      validator: (decision) => {
        refuseDecision(decision);
        refuseUnless(decision.despite === undefined, '"despite" is for an approval: leave it out');
      },
    },
  );
}
