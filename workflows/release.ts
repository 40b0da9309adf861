/** The release of the final policy: its criteria are judged, a person is waited for where the configuration asks for one, then it is promoted or not. */
import { condition, patched } from '@temporalio/workflow';
import { tellAudit } from './auditing.ts';
import type { Operator } from './operator.ts';
import { noteRecord, showCard, type RunAtWork } from './runMemory.ts';
import type { RunStages } from './runStages.ts';
import { control } from './stages.ts';
import type { ArtifactRef, ReleasePlan, ReleaseState } from '../activities/types.ts';

const hourMs = 3_600_000;
/** Who decides where no person does. */
const policyName = 'release policy';

/**
 * @param exported folders as they were exported; the run's own become those that say what was decided
 * @returns false where more iterations were asked for while it waited
 */
export async function releasePolicy(
  work: RunAtWork,
  operator: Operator,
  stages: RunStages,
  { plan, exported }: { plan: ReleasePlan; exported: ArtifactRef },
): Promise<boolean> {
  const { memory } = work;
  const adapter = memory.policy!.adapter!.sha256;
  const evaluations = Object.fromEntries(
    Object.entries(memory.evaluations).map(([name, { artifact }]) => [name, artifact]),
  );
  const { candidate, ...judged } = await stages.run('release criteria', () =>
    control.judgeRelease.executeWithOptions({ summary: 'judge the release criteria' }, [
      work.run,
      { evaluations, exported, adapter },
    ]),
  );
  memory.exported = candidate;
  // A run that goes on from its record waits on, by the deadline that it had, or keeps to what was decided.
  const { askedAt, deadline, timedOut, decision } = memory.release?.adapter === adapter ? memory.release : {};
  const release: ReleaseState = {
    status: 'awaiting approval',
    ...{ adapter, ...judged },
    ...(askedAt ? { askedAt } : {}),
    ...(deadline ? { deadline } : {}),
    ...(timedOut ? { timedOut } : {}),
    ...(decision && patched('decision-kept') ? { decision } : {}),
  };
  if (plan.approval) memory.release = release;
  if (plan.approval && !release.decision) {
    // What whoever decides reads first.
    memory.report = await stages.run('report', () =>
      control.writeReport.executeWithOptions({ summary: 'HTML report, before approval' }, [
        work.run,
        { exported: candidate },
      ]),
    );
    await operator.interruptible(() => awaitDecision(work, operator, plan, release));
    if (!release.decision) {
      delete memory.release;
      return false;
    }
  }
  const status = statusOf(plan, release);
  memory.exported = await stages.run('promote', () =>
    control.concludeRelease.executeWithOptions({ summary: `release: ${status}` }, [
      work.run,
      { exported, release: { ...release, status } },
    ]),
  );
  // Said of it once it is so.
  memory.release = { ...release, status };
  return true;
}

function statusOf({ approval }: ReleasePlan, { decision, met }: ReleaseState): ReleaseState['status'] {
  if (!approval) return met ? 'promoted' : 'not promoted';
  return decision?.outcome === 'approved' ? 'promoted' : 'rejected';
}

/** Ends with a decision, or without one where more iterations were asked for. */
async function awaitDecision(
  work: RunAtWork,
  operator: Operator,
  plan: ReleasePlan,
  release: ReleaseState,
): Promise<void> {
  const { memory } = work;
  const { progress } = memory;
  const note = (what: string, details: Record<string, unknown> = {}): Promise<void> =>
    tellAudit(work, { by: policyName }, { what, details: { adapter: release.adapter, ...details } });
  if (!release.askedAt) {
    release.askedAt = new Date().toISOString();
    if (plan.timeoutHours !== undefined)
      release.deadline = new Date(Date.now() + plan.timeoutHours * hourMs).toISOString();
    await note('approval asked', {
      criteriaMet: release.met,
      ...(release.deadline ? { until: release.deadline, onTimeout: plan.onTimeout } : {}),
    });
  }
  if (patched('pause-before-approval')) await operator.mayProceed();
  progress.stage = 'approval';
  progress.state = 'awaiting approval';
  progress.cause = release.told;
  showCard(work);
  await noteRecord(work);
  const goesOn = (): boolean => memory.iteration < work.plan.iterations && !operator.stopAfterIteration;
  const decided = (): boolean => release.decision !== undefined || goesOn();
  while (!decided()) {
    if (!release.deadline || release.timedOut) {
      await condition(decided);
      break;
    }
    const left = Date.parse(release.deadline) - Date.now();
    if (left > 0 && (await condition(decided, left))) break;
    release.timedOut = true;
    await note('approval timed out', { onTimeout: plan.onTimeout });
    if (plan.onTimeout === 'wait') await noteRecord(work);
    else await decideUnlessOthers(work, plan, release, goesOn);
  }
  progress.state = 'running';
  delete progress.cause;
  if (!release.decision) await note('approval withdrawn', { iterations: work.plan.iterations });
}

/** Somebody may have decided while it was told that the time is over, or asked for more iterations: these are no policy to decide about yet. */
async function decideUnlessOthers(
  work: RunAtWork,
  plan: ReleasePlan,
  release: ReleaseState,
  goesOn: () => boolean,
): Promise<void> {
  if (patched('extended-at-time-out')) {
    // More iterations that are being asked for just now count.
    await condition(() => !work.changing);
    if (goesOn()) return;
  }
  release.decision ??= decisionOfPolicy(plan, release.met);
}

function decisionOfPolicy({ onTimeout, timeoutHours }: ReleasePlan, met: boolean): ReleaseState['decision'] & object {
  const approved = onTimeout === 'approve-if-met' && met;
  const criteria = onTimeout === 'reject' ? '' : met ? ', and all criteria are met' : ', and not all criteria are met';
  return {
    outcome: approved ? 'approved' : 'rejected',
    by: policyName,
    why: `nobody decided within ${timeoutHours} hours${criteria} (onTimeout: ${onTimeout})`,
    at: new Date().toISOString(),
  };
}
