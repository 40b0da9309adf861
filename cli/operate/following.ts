/** Follows a run by its progress queries until it ends, waits for its operator, or is let go. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledFailure, WorkflowFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import { activeChildQuery, progressQuery } from '../../workflows/messages.ts';
import { taskQueues, type RunProgress, type WorkerKind } from '../../activities/types.ts';
import type { RunReporter, TrainOutcome } from '../operations.ts';
import { withDownload } from './preparation.ts';

export interface FollowOptions {
  signal: AbortSignal;
  /** Stay when the run waits for its operator. */
  wait: boolean;
  /** Rejects when a worker of an embedded cluster is given up. */
  onFailedWorker?: Promise<never>;
}

const pollMs = 1000;
const answerMs = 3_000;
/** A queue without pollers for so long is told. */
const pollersMs = 15_000;

export async function followRun(
  client: Client,
  handle: WorkflowHandle,
  runId: string,
  report: RunReporter,
  options: FollowOptions,
): Promise<TrainOutcome> {
  const { signal } = options;
  const ended = new AbortController();
  // The long poll is aborted when we leave: it would outlive its connection otherwise.
  const result = client.connection
    .withAbortSignal(ended.signal, () => handle.result())
    .then(
      () => 'completed' as const,
      (error: unknown) => error,
    );
  const pollers = watchPollers(client);
  let last: RunProgress | undefined;
  try {
    for (;;) {
      const snapshot = await quickSnapshot(client, handle);
      if (snapshot) {
        snapshot.notes = [
          ...snapshot.notes,
          ...(await pollers(snapshot.state === 'running' ? await busyQueues(client, handle) : [])),
        ];
        report.snapshot(await withDownload(snapshot, handle));
        if (snapshot.state === 'waiting' && !options.wait) {
          return { state: 'waiting', ...(snapshot.cause ? { cause: snapshot.cause } : {}) };
        }
      }
      // Without a control worker nobody answers queries; what is missing is told all the same.
      else {
        const notes = await pollers([]);
        if (notes.length > 0) report.snapshot({ ...(last ?? unknownSnapshot(runId)), notes });
      }
      last = snapshot ?? last;
      const next = await Promise.race([
        result,
        sleep(pollMs, 'poll' as const, { signal }).catch(() => 'let go' as const),
        ...(options.onFailedWorker ? [options.onFailedWorker] : []),
      ]);
      if (next === 'poll') continue;
      if (next === 'let go') return { state: 'running' };
      if (next === 'completed') {
        const end = await readSnapshot(client, handle).catch(() => undefined);
        if (end) report.snapshot(end);
        return { state: end?.state ?? 'done' };
      }
      if (next instanceof WorkflowFailedError && next.cause instanceof CancelledFailure) return { state: 'cancelled' };
      if (next instanceof WorkflowFailedError) return { state: 'failed', cause: messageOf(next) };
      throw next;
    }
  } finally {
    ended.abort();
  }
}

/** Undefined where nobody answers soon: without a control worker a query would wait for one. */
export function quickSnapshot(client: Client, handle: WorkflowHandle): Promise<RunProgress | undefined> {
  return client.withDeadline(Date.now() + answerMs, () => readSnapshot(client, handle)).catch(() => undefined);
}

/** Of a run that has not answered yet. */
export function unknownSnapshot(runId: string): RunProgress {
  return {
    runId,
    state: 'running',
    stage: 'start',
    iteration: 0,
    iterations: 0,
    shardsDone: 0,
    shardsTotal: 0,
    notes: [],
    finishedStages: [],
  };
}

/** The run's snapshot, with the shards of the child that is at work. */
export async function readSnapshot(client: Client, handle: WorkflowHandle): Promise<RunProgress> {
  const snapshot = await handle.query(progressQuery);
  const childId = await handle.query(activeChildQuery);
  if (!childId) return snapshot;
  const child = await client.workflow
    .getHandle(childId)
    .query(progressQuery)
    .catch(() => undefined);
  if (!child) return snapshot;
  return {
    ...snapshot,
    stage: child.stage,
    shardsDone: child.shardsDone,
    shardsTotal: child.shardsTotal,
    ...(child.tokensPerSecond === undefined ? {} : { tokensPerSecond: child.tokensPerSecond }),
    ...(child.meanReward === undefined ? {} : { meanReward: child.meanReward }),
  };
}

/**
 * Queues with an activity at work. A worker whose only slot is taken does not poll, so the server may not list it although it is there.
 */
export async function busyQueues(client: Client, handle: WorkflowHandle): Promise<string[]> {
  const childId = await client
    .withDeadline(Date.now() + answerMs, () => handle.query(activeChildQuery))
    .catch(() => null);
  const handles = [handle, ...(childId ? [client.workflow.getHandle(childId)] : [])];
  const descriptions = await Promise.all(handles.map((one) => one.describe().catch(() => undefined)));
  return descriptions.flatMap((description) =>
    (description?.raw.pendingActivities ?? [])
      // PENDING_ACTIVITY_STATE_STARTED
      .filter((activity) => activity.state === 2)
      // Older servers do not say an activity's queue: it may be any.
      .flatMap((activity) => activity.activityOptions?.taskQueue?.name ?? Object.values(taskQueues)),
  );
}

/** Notes about queues that nobody has polled for 15 s; asks the server every 5 s at most. */
export function watchPollers(client: Client): (busy: readonly string[]) => Promise<string[]> {
  const since = new Map<WorkerKind, number>();
  let asked = 0;
  let notes: string[] = [];
  return async (busy) => {
    if (Date.now() - asked < 5000) return notes;
    asked = Date.now();
    notes = [];
    const missing = await missingWorkers(client, busy);
    for (const kind of Object.keys(taskQueues) as WorkerKind[]) {
      if (!missing.includes(kind)) {
        since.delete(kind);
        continue;
      }
      const first = since.get(kind) ?? Date.now();
      since.set(kind, first);
      if (Date.now() - first >= pollersMs) notes.push(missingWorkerNote(kind));
    }
    return notes;
  };
}

/** Kinds of workers that no queue of theirs has seen lately. */
export async function missingWorkers(client: Client, busy: readonly string[]): Promise<WorkerKind[]> {
  const missing: WorkerKind[] = [];
  for (const kind of Object.keys(taskQueues) as WorkerKind[]) {
    if (!busy.includes(taskQueues[kind]) && !(await isPolled(client, kind))) missing.push(kind);
  }
  return missing;
}

export const missingWorkerNote = (kind: WorkerKind): string =>
  `waiting for a ${kind} worker: start one with \`cada worker --kind ${kind}\``;

async function isPolled(client: Client, kind: WorkerKind): Promise<boolean> {
  try {
    const { pollers } = await client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: taskQueues[kind] },
      // TASK_QUEUE_TYPE_WORKFLOW = 1, TASK_QUEUE_TYPE_ACTIVITY = 2
      taskQueueType: 2,
    });
    const newest = Math.max(0, ...(pollers ?? []).map((poller) => Number(poller.lastAccessTime?.seconds ?? 0) * 1000));
    // A long poll lasts a minute; a poller that died is listed for five.
    return Date.now() - newest < 75_000;
  } catch {
    return true;
  }
}

function messageOf(error: Error): string {
  let cause: Error = error;
  while (cause.cause instanceof Error) cause = cause.cause;
  return cause.message;
}
