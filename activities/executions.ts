/** The executions of a workflow and of its children, and their histories, as the server has them. */
import type { Client } from '@temporalio/client';
import type { History } from '@temporalio/common/lib/proto-utils.js';

/** A workflow execution: one of several where a workflow continued as new or was started again. */
export interface Execution {
  workflowId: string;
  executionId: string;
}

/** The run's own executions, each continued as new by the next, in order. */
export async function* executionsOf(
  client: Client,
  runId: string,
): AsyncGenerator<{ execution: Execution; history: History }> {
  const newest = await client.workflow.getHandle(runId).fetchHistory();
  let executionId = newest.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  while (executionId) {
    const execution = { workflowId: runId, executionId };
    const history = await fetchHistory(client, execution);
    yield { execution, history };
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

/** `iteration-3.5f1c2a9b`: the workflow's own part of its id, and which execution of it. */
export function historyName(runId: string, { workflowId, executionId }: Execution): string {
  const own = workflowId === runId ? 'run' : workflowId.slice(runId.length + 1).replaceAll(/[^A-Za-z0-9._-]/g, '-');
  // The end of the id: it begins with the time, the same for all that start within a minute.
  return `${own}.${executionId.slice(-8)}`;
}
