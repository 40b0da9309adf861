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
import { childrenOf, executionsOf, fetchHistory, historyName, type Execution } from './executions.ts';
import type { RunContext } from './types.ts';

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
  for await (const { execution, history } of executionsOf(client, id))
    saved += await keepExecution({ client, store, id, owner }, execution, history);
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
  const execution = { workflowId: runId, executionId };
  const saved = await keepExecution(keeping, execution, await fetchHistory(client, execution));
  log.info({ runId, executionId, saved }, 'histories kept');
  return saved;
}

async function keepExecution(keeping: Keeping, execution: Execution, history: History): Promise<number> {
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
  await Promise.all(childrenOf(history).map((child) => limit(() => keepChild(child))));
  await keep(execution, history);
  return saved;
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
