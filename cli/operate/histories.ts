/**
 * Keeps the histories of a run's workflows in the store when the run has ended: the embedded server goes with its run, and a shared one forgets
 * closed workflows after its retention. They can be read (`runs/<id>/history/*.json`), shown by the Temporal UI, and replayed.
 */
import type { Client } from '@temporalio/client';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import pLimit from 'p-limit';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listHistories, saveHistory } from '../../infra/artifacts/runs.ts';

/** A workflow execution: one of several where a workflow continued as new or was started again. */
interface Execution {
  workflowId: string;
  executionId: string;
}

const fetchesAtOnce = 4;

/**
 * Saves the history of every closed execution of the run and of its children that the store does not hold yet.
 * @returns how many were saved.
 * @throws where server or store fail; calling again goes on with what is missing.
 */
export async function keepHistories(client: Client, store: ArtifactStore, runId: string): Promise<number> {
  const known = new Set(await listHistories(store, runId));
  const limit = pLimit(fetchesAtOnce);
  let saved = 0;
  const keep = async (execution: Execution, history: History): Promise<void> => {
    const name = nameOf(runId, execution);
    if (known.has(name)) return;
    await saveHistory(store, runId, name, JSON.parse(historyToJSON(history)));
    saved += 1;
  };
  const keepChild = async (child: Execution): Promise<void> => {
    if (known.has(nameOf(runId, child))) return;
    const history = await fetchHistory(client, child);
    if (isClosed(history)) await keep(child, history);
  };

  for await (const [execution, history] of executionsOf(client, runId)) {
    await Promise.all(childrenOf(history).map((child) => limit(() => keepChild(child))));
    if (isClosed(history)) await keep(execution, history);
  }
  return saved;
}

/** The run's own executions, each continued as new by the next, in order. */
async function* executionsOf(client: Client, runId: string): AsyncGenerator<[Execution, History]> {
  const newest = await client.workflow.getHandle(runId).fetchHistory();
  let executionId = newest.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  while (executionId) {
    const execution = { workflowId: runId, executionId };
    const history = await fetchHistory(client, execution);
    yield [execution, history];
    executionId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
}

function childrenOf(history: History): Execution[] {
  return (history.events ?? []).flatMap(({ childWorkflowExecutionStartedEventAttributes: started }) => {
    const { workflowId, runId: executionId } = started?.workflowExecution ?? {};
    return workflowId && executionId ? [{ workflowId, executionId }] : [];
  });
}

function fetchHistory(client: Client, { workflowId, executionId }: Execution): Promise<History> {
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
function nameOf(runId: string, { workflowId, executionId }: Execution): string {
  const own = workflowId === runId ? 'run' : workflowId.slice(runId.length + 1).replaceAll(/[^A-Za-z0-9._-]/g, '-');
  return `${own}.${executionId.slice(0, 8)}`;
}
