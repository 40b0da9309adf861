/**
 * Changes a run's course: other settings from the next iteration on, back to an earlier iteration, more iterations. What was changed is kept in the store,
 * beside the iterations that it explains; the run's own record names the configuration in effect, so that a run that is started anew goes on by it.
 */
import { changeConfiguration } from '../alignment/configuration/changeConfiguration.ts';
import type { AuditNote } from '../alignment/governance/auditChain.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { appendAudit } from '../infra/artifacts/audit.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { iterationLine, loadIteration, loadRun, saveCourse, saveRun } from '../infra/artifacts/runs.ts';
import { senderOf } from './noteAudit.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration } from './inputs.ts';
import { runPlan } from './runPlan.ts';
import { operatorFailure } from './stage.ts';
import type { CourseChange, CourseOutcome, CourseRequest, IterationRecord, RunContext, RunRecord } from './types.ts';

export async function changeCourse(
  { store }: Pick<ActivityDependencies, 'store'>,
  run: RunContext,
  request: CourseRequest,
): Promise<CourseOutcome> {
  const before = await readConfiguration(store, run);
  const { configuration, settings } = changedBy(before, request);
  const returned = await iterationToReturnTo(store, run, request);
  const published = await store.putBytes(canonicalJson(configuration), 'configuration');

  const { changes: _changes, rateFactor: _rateFactor, updateId, ...kept } = request;
  const operator = request.operator ?? (updateId === undefined ? undefined : await senderOf(updateId));
  const change = await saveCourse<CourseChange>(store, run.runId, request.number, {
    ...kept,
    ...(operator === undefined ? {} : { operator }),
    at: new Date().toISOString(),
    told: tell(request, settings),
    settings,
    configuration: published,
    ...(request.rollBackTo === undefined
      ? {}
      : { returnedTo: { epoch: returned?.epoch ?? 0, iteration: request.rollBackTo } }),
  });
  await appendAudit(store, run.runId, auditNote(change), { event: `course/${change.number}` });
  await noteConfiguration(store, run.runId, change);
  return {
    told: change.told,
    configuration: change.configuration,
    plan: runPlan(configuration),
    ...(returned ? { policy: returned.policy } : {}),
  };
}

/** The same for a run at work and for one that has ended: both come by here. */
export function auditNote({ by, operator, kind, cause, told, settings, ...change }: CourseChange): AuditNote {
  const names = { settings: 'settings changed', rollBack: 'roll back', extend: 'extend', fork: 'fork', stop: 'stop' };
  return {
    who: operator ?? by,
    what: names[kind],
    ...(cause ? { why: cause } : {}),
    details: {
      ...{ told, settings, epoch: change.epoch, iteration: change.iteration },
      ...(change.returnedTo ? { returnedTo: change.returnedTo } : {}),
      ...(change.forkedFrom ? { forkedFrom: change.forkedFrom } : {}),
      configuration: change.configuration.sha256,
    },
  };
}

function changedBy(before: Configuration, { changes, rateFactor, more }: CourseRequest) {
  const { learningRate, count } = before.iteration;
  try {
    return changeConfiguration(before, {
      ...changes,
      ...(rateFactor === undefined
        ? {}
        : { 'iteration.learningRate': Number((learningRate * rateFactor).toPrecision(12)) }),
      ...(more === undefined ? {} : { 'iteration.count': count + more }),
    });
  } catch (error) {
    if (error instanceof RangeError) throw operatorFailure('Settings', error.message);
    throw error;
  }
}

async function iterationToReturnTo(
  store: ArtifactStore,
  { runId }: RunContext,
  { rollBackTo, epoch }: CourseRequest,
): Promise<IterationRecord | undefined> {
  if (rollBackTo === undefined || rollBackTo === 0) return undefined;
  const place = (await iterationLine(store, runId, epoch, rollBackTo)).find(({ n }) => n === rollBackTo);
  const record = place && (await loadIteration<IterationRecord>(store, runId, place.epoch, place.n));
  if (!record) throw operatorFailure('NoSuchIteration', `the run has no finished iteration ${rollBackTo}`);
  for (const ref of [record.policy.adapter, record.policy.optimizer]) {
    if (ref && !(await store.has(ref))) {
      throw operatorFailure(
        'ArtifactMissing',
        `the ${ref.kind} of iteration ${rollBackTo} (${ref.uri}) is not in the store any more`,
      );
    }
  }
  return record;
}

/** What was done, and why: for card, report and lineage. */
function tell(request: CourseRequest, settings: CourseChange['settings']): string {
  const { kind, cause, iteration, rollBackTo, more } = request;
  const changed = Object.entries(settings)
    .filter(([key]) => key !== 'iteration.count')
    .map(([key, { from, to }]) => `${key} ${from ?? 'absent'} -> ${to}`)
    .join(', ');
  const back =
    rollBackTo === undefined
      ? ''
      : `back to ${rollBackTo === 0 ? 'the start of the iterations' : `the policy of iteration ${rollBackTo}`}`;
  const because = cause ? `: ${cause}` : '';
  switch (kind) {
    case 'settings':
      return changed
        ? `after iteration ${iteration}: ${changed}`
        : `after iteration ${iteration}: settings as they were`;
    case 'extend':
      return `${more} more iterations, ${settings['iteration.count']!.to} in all`;
    case 'stop':
      return `iteration ${iteration + 1} rejected${because}; ${back}, and the run ends there`;
    default:
      return `${cause ? `iteration ${iteration + 1} rejected${because}; ` : `from iteration ${iteration} `}${back}${changed ? `; ${changed}` : ''}`;
  }
}

/** A run that is started anew, because its server was lost, begins by its record. */
async function noteConfiguration(store: ArtifactStore, runId: string, change: CourseChange): Promise<void> {
  const known = await loadRun<RunRecord>(store, runId);
  if (!known || known.record.configuration.sha256 === change.configuration.sha256) return;
  const record: RunRecord = { ...known.record, configuration: change.configuration, courseChanges: change.number };
  await saveRun(store, runId, record, known.etag);
}
