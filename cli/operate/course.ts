/** Other courses for runs that have ended: more iterations, back to an earlier one, other settings, and runs that branch off one. */
import { createHash } from 'node:crypto';
import { auditNote, changeCourse } from '../../activities/changeCourse.ts';
import type { CourseChange, CourseRequest, IterationRecord, RunRecord } from '../../activities/types.ts';
import { changeProblems } from '../../alignment/configuration/changeableSettings.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { appendAudit } from '../../infra/artifacts/audit.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { loadRun, saveCourse, saveIteration, saveRun } from '../../infra/artifacts/runs.ts';
import { configurationDigest } from '../../infra/configuration/runId.ts';
import { readJson } from '../../activities/inputs.ts';
import { badInput } from '../errors.ts';
import type { AskedCourse, ForkRequest, RunRequest } from '../operations.ts';
import { lineOf } from './resuming.ts';

/**
 * Changes the course of a run that has ended; `cada train` then goes on with it.
 * @returns a sentence that says what was changed.
 */
export async function changeEnded(
  { runId, storeUri, by }: Pick<RunRequest, 'runId' | 'storeUri'> & { by?: string },
  asked: AskedCourse,
): Promise<string> {
  const store = await openStore(storeUri);
  const { record } = (await loadRun<RunRecord>(store, runId))!;
  const { iteration, epoch = 0 } = record;
  refuse(asked, record);
  const { configuration, library } = record;
  const request: CourseRequest = {
    number: (record.courseChanges ?? 0) + 1,
    by: 'operator',
    ...(by ? { operator: by } : {}),
    epoch,
    iteration,
    ...asked,
  };
  const outcome = await changeCourse({ store }, { runId, configuration, library }, request).catch((error: unknown) => {
    // What only the operator can mend: it is told as it is.
    if (error instanceof Error && error.name === 'ApplicationFailure') throw badInput(error.message);
    throw error;
  });
  const returned =
    asked.kind === 'rollBack'
      ? { epoch: epoch + 1, iteration: asked.rollBackTo, policy: outcome.policy ?? originOf(record) }
      : {};
  const known = (await loadRun<RunRecord>(store, runId))!;
  const { cause: _cause, release, ...before } = known.record;
  const changed: RunRecord = {
    ...before,
    ...returned,
    // What was decided is of the policy that is gone back from.
    ...(release && asked.kind !== 'rollBack' ? { release } : {}),
    // What is done stays done, until there is more to do.
    state: asked.kind === 'settings' ? before.state : 'stopped',
    configuration: outcome.configuration,
    iterations: outcome.plan.iterations,
    courseChanges: request.number,
  };
  await saveRun(store, runId, changed, known.etag);
  return outcome.told;
}

function refuse(asked: AskedCourse, { iteration, originAdapter, policy }: RunRecord): void {
  if (!policy?.adapter) throw badInput('The run has no policy yet that it could go on from.');
  if (asked.kind === 'settings') {
    const problems = changeProblems(asked.changes);
    if (problems.length > 0) throw badInput(problems.join('\n'));
  }
  if (asked.kind !== 'rollBack') return;
  const { rollBackTo } = asked;
  if (rollBackTo > iteration)
    throw badInput(`There is no finished iteration ${rollBackTo} to go back to.`, `Write 0 to ${iteration}.`);
  if (rollBackTo === 0 && !originAdapter)
    throw badInput('What the iterations of this run started from is not known: it is of an older version.');
}

const originOf = ({ policy, originAdapter }: RunRecord) => ({ model: policy!.model, adapter: originAdapter! });

/**
 * A run that branches off another after iteration `from`, with a configuration of its own: its iterations up to there are the other's, by reference.
 * The same fork is the same run, so that the same command goes on with it.
 */
export async function prepareFork({
  runId,
  storeUri,
  from,
  configuration,
  by,
}: Omit<ForkRequest, 'by'> & { by?: string }): Promise<string> {
  const store = await openStore(storeUri);
  const parent = (await loadRun<RunRecord>(store, runId))!.record;
  const before = await readJson<Configuration>(store, parent.configuration);
  requireShared(before, configuration);
  if (configuration.iteration.count <= from) {
    throw badInput(
      `iteration.count is ${configuration.iteration.count}: nothing is left to do after iteration ${from}.`,
      'Raise it in the configuration: it counts the iterations of the other run too.',
    );
  }
  if (from > parent.iteration)
    throw badInput(`Run ${runId} has no finished iteration ${from}.`, `It has come to iteration ${parent.iteration}.`);
  const line = (await lineOf(store, parent)).filter(({ iteration }) => iteration <= from);
  const last = line.find(({ iteration }) => iteration === from);
  const originAdapter = parent.originAdapter ?? line.find(({ iteration }) => iteration === 0)?.policy.adapter;
  const policy =
    last?.policy ?? (from === 0 && originAdapter ? { model: parent.policy!.model, adapter: originAdapter } : undefined);
  if (!policy || !originAdapter)
    throw badInput(`What run ${runId} had after iteration ${from} is not in ${store.uri} any more.`);

  const forkedFrom = { runId, epoch: last?.epoch ?? 0, iteration: from };
  const forkId = `${configuration.name}-${digestOf({ configuration: configurationDigest(configuration), forkedFrom })}`;
  if (await loadRun(store, forkId)) return forkId;
  const published = await store.putBytes(canonicalJson(configuration), 'configuration');
  const record: RunRecord = {
    runId: forkId,
    configuration: published,
    library: parent.library,
    state: 'stopped',
    stage: 'start',
    epoch: 0,
    iteration: from,
    iterations: configuration.iteration.count,
    policy,
    originAdapter,
    evaluations: {},
    wallSeconds: {},
    peakMemoryBytes: {},
    forkedFrom,
  };
  await copyLine(store, forkId, line);
  const change = await saveCourse<CourseChange>(store, forkId, 0, {
    number: 0,
    kind: 'fork',
    by: 'operator',
    ...(by ? { operator: by } : {}),
    epoch: 0,
    iteration: from,
    at: new Date().toISOString(),
    told: `forked from run ${runId} after ${from === 0 ? 'its start' : `iteration ${from}`}`,
    settings: {},
    configuration: published,
    forkedFrom,
  });
  await appendAudit(store, forkId, auditNote(change), { event: 'course/0' });
  // Last: a run is there once it has a record.
  await saveRun(store, forkId, record);
  return forkId;
}

/** What an adapter fits to must be the same. */
function requireShared(before: Configuration, now: Configuration): void {
  for (const section of ['model', 'lora', 'trained'] as const) {
    if (canonicalJson(before[section] ?? null) === canonicalJson(now[section] ?? null)) continue;
    throw badInput(
      `The configuration has another \`${section}\` than the run that it would be forked from: its adapter would not fit.`,
      `Use ${JSON.stringify(before[section])}, or start a run of its own with \`cada train\`.`,
    );
  }
}

async function copyLine(store: ArtifactStore, forkId: string, line: readonly IterationRecord[]): Promise<void> {
  for (const one of line) {
    // The history belongs to the other run.
    const { history: _history, ...record } = one;
    await saveIteration(store, forkId, 0, one.iteration, { ...record, epoch: 0 });
  }
}

const digestOf = (value: unknown): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 8);
