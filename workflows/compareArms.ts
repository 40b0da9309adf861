/**
 * A study: arms x seeds x models. Each unit (a run where its arm is trained, then its answers on the suites) is made of child workflows and commits its
 * figures by itself; a unit that fails for good is told at the end and hinders no other.
 */
import { CancellationScope, executeChild, ParentClosePolicy, setHandler } from '@temporalio/workflow';
import type { FailedUnit, OpenedUnit, StudyInput } from '../activities/studyPlans.ts';
import type { PolicyState, ServerTraits } from '../activities/types.ts';
import { alignPolicy } from './alignPolicy.ts';
import { evaluateSuites } from './evaluateSuites.ts';
import { activeChildQuery, progressQuery, unitsAtWorkQuery } from './messages.ts';
import { startProgress } from './progress.ts';
import { archiveStudyAfterwards } from './archiveRun.ts';
import { control } from './stages.ts';
import { endsOnItsBuild } from './versioning.ts';

endsOnItsBuild(compareArms);

/** Answers with the units that failed. */
export async function compareArms(study: StudyInput, server: ServerTraits): Promise<FailedUnit[]> {
  const { studyId, units, parallel } = study;
  const progress = { ...startProgress(studyId, 'start', 0, units), unitsMade: 0 };
  const children: { unit: string; workflowId: string }[] = [];
  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => children.at(-1)?.workflowId ?? null);
  setHandler(unitsAtWorkQuery, () => children);

  const atWork = async <T>(unit: string, workflowId: string, child: () => Promise<T>): Promise<T> => {
    const one = { unit, workflowId };
    children.push(one);
    try {
      return await child();
    } finally {
      children.splice(children.indexOf(one), 1);
    }
  };
  // Arms that differ in how they are asked alone have one run.
  const trained = new Map<string, Promise<PolicyState>>();
  const policyOf = async (unit: OpenedUnit): Promise<PolicyState | undefined> => {
    if (!unit.training) return undefined;
    if (unit.policy) return unit.policy;
    const { run } = unit.training;
    const known = trained.get(run.runId) ?? atWork(unit.id, run.runId, () => train(unit.training!, server));
    trained.set(run.runId, known);
    return known;
  };

  const failed: FailedUnit[] = [];
  const work = async (index: number): Promise<void> => {
    const unit = await control.openStudyUnit.executeWithOptions({ summary: `unit ${index + 1} of ${units}` }, [
      study,
      index,
    ]);
    if (!unit.done) {
      progress.stage = unit.id;
      try {
        const policy = await policyOf(unit);
        const workflowId = `${studyId}/${unit.id}`;
        const {
          result,
          generation,
          policy: answered,
        } = await atWork(unit.id, workflowId, () => answer(workflowId, unit, policy));
        await control.recordStudyUnit.executeWithOptions({ summary: `figures of ${unit.id}` }, [
          study,
          { unit: index, result, generation, policy: answered },
        ]);
        progress.unitsMade += 1;
      } catch (error) {
        // A child that its operator cancelled is a unit that failed.
        if (CancellationScope.current().consideredCancelled) throw error;
        failed.push({ unit: unit.id, cause: causeOf(error) });
      }
    }
    progress.iteration += 1;
  };

  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < units) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(parallel, units) }, lane));

  progress.stage = 'figures';
  await control.summariseStudy.executeWithOptions({ summary: 'figures of all units' }, [study, failed]);
  if (server.archive) await archiveStudyAfterwards(studyId);
  progress.stage = 'done';
  progress.state = 'done';
  return failed;
}

async function train({ run, plan }: OpenedUnit['training'] & object, server: ServerTraits): Promise<PolicyState> {
  // By its own name: `cada status`, `cada pause` and the others mean it as they mean any run.
  const record = await executeChild(alignPolicy, {
    workflowId: run.runId,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    args: [{ run, plan, server }],
    staticSummary: `CADA run ${run.runId}`,
    memo: { runId: run.runId },
  });
  if (record.state !== 'done' || !record.policy) {
    const cause = record.cause === undefined ? '' : `: ${record.cause}`;
    throw new Error(`run ${run.runId} was ${record.state} before its end${cause}`);
  }
  return record.policy;
}

async function answer(workflowId: string, unit: OpenedUnit, policy: PolicyState | undefined) {
  const { evaluation, questions, judge, guard, attacks, inference, faithfulness } = unit;
  return executeChild(evaluateSuites, {
    workflowId,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    args: [
      {
        ...{ run: evaluation, questions },
        ...(judge ? { judge } : {}),
        ...(guard ? { guard } : {}),
        ...(attacks ? { attacks } : {}),
        ...(inference ? { arm: inference } : {}),
        ...(policy ? { policy } : {}),
        ...(faithfulness ? { faithfulness } : {}),
      },
    ],
    staticSummary: `answers of ${unit.id}`,
  });
}

const longestCause = 500;

/** What the innermost failure says. */
function causeOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  return (innermost instanceof Error ? innermost.message : String(innermost)).slice(0, longestCause);
}
