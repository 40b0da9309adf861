/**
 * Keeps the histories of workflows in the store: the embedded server goes with its run, and a shared one forgets closed workflows after its
 * retention. They can be read (`runs/<id>/history/*.json`, or `histories/<id>/*.json` of a study and the like), shown by the Temporal UI, and replayed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import pLimit from 'p-limit';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { listHistories, saveHistory, type HistoryOwner } from '../infra/artifacts/runs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { RunContext } from './types.ts';

/** A workflow execution: one of several where a workflow continued as new or was started again. */
export interface Execution {
  workflowId: string;
  executionId: string;
}

const fetchesAtOnce = 4;
const pollMs = 500;

/** Where histories come from and go to. */
interface Keeping {
  client: Client;
  store: ArtifactStore;
  /** Of the workflow that children belong to. */
  id: string;
  owner: HistoryOwner;
  onProgress?: (saved: number) => void;
}

/**
 * Saves the history of every closed execution of a workflow and of its children that the store does not hold yet.
 * @returns how many were saved.
 * @throws where server or store fail; calling again goes on with what is missing.
 */
export async function keepHistories(
  client: Client,
  store: ArtifactStore,
  id: string,
  owner: HistoryOwner = 'run',
): Promise<number> {
  let saved = 0;
  for await (const execution of executionsOf(client, id))
    saved += await keepExecution({ client, store, id, owner }, execution);
  return saved;
}

/** Waits until one execution of a workflow has ended, then keeps its history and those of its children: for work that no command follows. */
export async function archiveHistories(
  { store, log }: ActivityDependencies,
  { runId }: Pick<RunContext, 'runId'>,
  executionId: string,
  owner: HistoryOwner = 'run',
): Promise<number> {
  const { client, cancellationSignal, heartbeat } = Context.current();
  const handle = client.workflow.getHandle(runId, executionId);
  while ((await handle.describe()).status.name === 'RUNNING') {
    heartbeat('waits for the end');
    await sleep(pollMs, undefined, { signal: cancellationSignal });
  }
  const keeping = { client, store, id: runId, owner, onProgress: heartbeat };
  const saved = await keepExecution(keeping, { workflowId: runId, executionId });
  log.info({ runId, executionId, saved }, 'histories kept');
  return saved;
}

async function keepExecution(keeping: Keeping, execution: Execution): Promise<number> {
  const { client, store, id, owner, onProgress } = keeping;
  const known = new Set(await listHistories(store, id, owner));
  const limit = pLimit(fetchesAtOnce);
  let saved = 0;
  const keep = async (one: Execution, history: History): Promise<void> => {
    const name = historyName(id, one);
    if (known.has(name) || !isClosed(history)) return;
    await saveHistory(store, id, name, JSON.parse(historyToJSON(history)), owner);
    onProgress?.(++saved);
  };
  const keepChild = async (child: Execution): Promise<void> => {
    // The runs of a study are named by themselves, and have children of their own.
    if (!child.workflowId.startsWith(`${id}/`)) saved += await keepHistories(client, store, child.workflowId);
    else if (!known.has(historyName(id, child))) await keep(child, await fetchHistory(client, child));
  };
  const history = await fetchHistory(client, execution);
  await Promise.all(childrenOf(history).map((child) => limit(() => keepChild(child))));
  await keep(execution, history);
  return saved;
}

/** The run's own executions, each continued as new by the next, in order. */
export async function* executionsOf(client: Client, runId: string): AsyncGenerator<Execution> {
  const newest = await client.workflow.getHandle(runId).fetchHistory();
  let executionId = newest.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  while (executionId) {
    const execution = { workflowId: runId, executionId };
    yield execution;
    const history = await fetchHistory(client, execution);
    executionId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
}

export function childrenOf(history: History): Execution[] {
  return (history.events ?? []).flatMap(({ childWorkflowExecutionStartedEventAttributes: started }) => {
    const { workflowId, runId: executionId } = started?.workflowExecution ?? {};
    // What archives is no part of the run, and is at work itself.
    const isArchiver = started?.workflowType?.name === 'archiveRun';
    return workflowId && executionId && !isArchiver ? [{ workflowId, executionId }] : [];
  });
}

export function fetchHistory(client: Client, { workflowId, executionId }: Execution): Promise<History> {
  return client.workflow.getHandle(workflowId, executionId).fetchHistory();
}

function isClosed({ events }: History): boolean {
  const last = events?.at(-1);
  return Boolean(
    last?.workflowExecutionCompletedEventAttributes ||
    last?.workflowExecutionFailedEventAttributes ||
    last?.workflowExecutionContinuedAsNewEventAttributes ||
    last?.workflowExecutionCanceledEventAttributes ||
    last?.workflowExecutionTerminatedEventAttributes ||
    last?.workflowExecutionTimedOutEventAttributes,
  );
}

/** `iteration-3.5f1c2a9b`: the workflow's own part of its id, and which execution of it. */
export function historyName(runId: string, { workflowId, executionId }: Execution): string {
  const own = workflowId === runId ? 'run' : workflowId.slice(runId.length + 1).replaceAll(/[^A-Za-z0-9._-]/g, '-');
  // The end of the id: it begins with the time, the same for all that start within a minute.
  return `${own}.${executionId.slice(-8)}`;
}
