/** Follows a study by its progress queries: tells what is at work and how long it will take, what waits for a person, and tries again or passes over what waits for its operator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowUpdateFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import type { FailedUnit, StudyInput } from '../../activities/studyPlans.ts';
import type { RunProgress, ServerTraits } from '../../activities/types.ts';
import { progressQuery, retryStageUpdate, stopRunUpdate, unitsAtWorkQuery } from '../../workflows/messages.ts';
import { duration } from '../progress/wording.ts';
import { approvalHint } from '../release.ts';

export type StudyWorkflow = (study: StudyInput, server: ServerTraits) => Promise<FailedUnit[]>;

const pollMs = 1000;
const lineMs = 5000;

/** Until the study ends (undefined), or a run of it waits for its operator. One that waits from before is tried again first. */
export async function followStudy(
  client: Client,
  handle: WorkflowHandle<StudyWorkflow>,
  studyId: string,
  {
    signal,
    report,
    passOver,
    command,
    storeUri,
    workerFailed,
  }: {
    signal: AbortSignal;
    report: (line: string) => void;
    passOver: boolean;
    /** How CADA is called in another terminal. */
    command: string;
    /** Where it is not the one that commands take by themselves. */
    storeUri?: string;
    workerFailed?: Promise<never>;
  },
): Promise<{ runId: string; cause: string } | undefined> {
  const left = new AbortController();
  const outcome = client.connection.withAbortSignal(left.signal, () => handle.result());
  outcome.catch(() => {});
  const woken = new Set<string>();
  const asked = new Set<string>();
  const pace = createUnitPace();
  let [told, toldAt] = ['', 0];
  try {
    for (;;) {
      const next = await Promise.race([
        outcome.then(() => 'ended' as const),
        sleep(pollMs, 'poll' as const, { signal }),
        ...(workerFailed ? [workerFailed] : []),
      ]);
      if (next === 'ended') return undefined;
      const seen = await look(client, handle);
      if (!seen) continue;
      const { study, atWork } = seen;
      const secondsLeft = pace(study, performance.now() / 1000);
      let updated = false;
      for (const { unit, workflowId, progress } of atWork) {
        const awaits = progress?.state === 'awaiting approval';
        if (awaits && !asked.has(workflowId))
          report(`Unit ${unit}, run ${workflowId}. ${approvalHint(command, workflowId, progress.cause, storeUri)}`);
        if (awaits) asked.add(workflowId);
        // Unless nobody has answered for it.
        else if (progress) asked.delete(workflowId);
        if (progress?.state === 'waiting') {
          const cause = progress.cause ?? 'unknown';
          if (woken.has(workflowId) && !passOver) return { runId: workflowId, cause };
          const what = woken.has(workflowId) ? 'it is passed over' : 'its stage is tried again';
          report(`Run ${workflowId} waits for its operator (${cause}); ${what}.`);
          await updateWaiting(client, studyId, workflowId, woken.has(workflowId) ? stopRunUpdate : retryStageUpdate);
          updated = true;
        }
        woken.add(workflowId);
      }
      // They are given time to begin before they count as waiting again.
      if (updated) await sleep(5 * pollMs, undefined, { signal });
      const child = atWork.at(-1)?.progress;
      const line = lineOf(study, child, secondsLeft);
      if (line === told || (child && line.split(':')[0] === told.split(':')[0] && Date.now() - toldAt < lineMs))
        continue;
      report(line);
      [told, toldAt] = [line, Date.now()];
    }
  } finally {
    left.abort();
  }
}

/** Undefined where nobody answers soon. */
async function look(client: Client, handle: WorkflowHandle) {
  const quickly = <T>(query: () => Promise<T>): Promise<T | undefined> =>
    client.withDeadline(Date.now() + 3 * pollMs, query).catch(() => undefined);
  const study = await quickly(() => handle.query(progressQuery));
  if (!study) return undefined;
  const units = (await quickly(() => handle.query(unitsAtWorkQuery))) ?? [];
  const progressOf = (id: string) => quickly(() => client.workflow.getHandle(id).query(progressQuery));
  const atWork = await Promise.all(units.map(async (one) => ({ ...one, progress: await progressOf(one.workflowId) })));
  return { study, atWork };
}

async function updateWaiting(
  client: Client,
  studyId: string,
  runId: string,
  update: typeof stopRunUpdate | typeof retryStageUpdate,
): Promise<void> {
  try {
    const by = `study ${studyId}`;
    await client.workflow.getHandle(runId).executeUpdate<string, [unknown]>(update.name, { args: [{ by }] });
  } catch (error) {
    // It has gone on meanwhile.
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
  }
}

/**
 * Seconds that the units still to be done will take, by the mean of those that were seen to be made; undefined before the first, and for a workflow of an
 * older version, which does not say how many it made.
 */
export function createUnitPace(): (
  study: Pick<RunProgress, 'iteration' | 'iterations' | 'unitsMade'>,
  nowSeconds: number,
) => number | undefined {
  let known: { done: number; unitsMade: number; since: number | undefined } | undefined;
  let [made, spent] = [0, 0];
  return ({ iteration: done, iterations, unitsMade = 0 }, now) => {
    if (known?.since !== undefined && unitsMade > known.unitsMade) {
      made += unitsMade - known.unitsMade;
      spent += now - known.since;
    }
    // Who comes later has not seen when the unit at work began. The time of one that came to nothing is nobody's.
    const since = known || unitsMade === 0 ? now : undefined;
    if (done !== known?.done) known = { done, unitsMade, since };
    return made === 0 ? undefined : (spent / made) * (iterations - done);
  };
}

function lineOf(
  { stage, iteration, iterations }: RunProgress,
  child: RunProgress | undefined,
  secondsLeft: number | undefined,
): string {
  const left = secondsLeft === undefined ? '' : ` (about ${duration(60 * Math.ceil(secondsLeft / 60))} left)`;
  const unit = `${Math.min(iteration + 1, iterations)} of ${iterations}${left}, ${stage}`;
  if (!child) return unit;
  if (child.state === 'awaiting approval') return `${unit}: awaits approval`;
  const shards = child.shardsTotal === 0 ? '' : `, ${child.shardsDone} of ${child.shardsTotal} shards`;
  const speed = child.tokensPerSecond === undefined ? '' : `, ${Math.round(child.tokensPerSecond)} tokens/s`;
  return `${unit}: ${child.stage}${shards}${speed}`;
}
