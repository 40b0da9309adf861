/**
 * Actions on the Temporal server that a run has taken, counted in its histories as Temporal Cloud bills them (docs.temporal.io/cloud/actions). Heartbeats,
 * queries and rejected updates are billed too and are in no history.
 */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { historyFromJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import pLimit from 'p-limit';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { listHistories, loadHistory } from '../infra/artifacts/runs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { childrenOf, executionsOf, fetchHistory, historyName, type Execution } from './executions.ts';

const fetchesAtOnce = 4;
/** A report is not kept waiting longer for the sake of a count. */
const mostMs = 2 * 60_000;

/** To be called within an activity. Undefined where histories can't be read, or not in time. */
export async function usedTemporalActions(
  { store, log }: ActivityDependencies,
  runId: string,
): Promise<number | undefined> {
  try {
    const { client } = Context.current();
    return await client.withDeadline(Date.now() + mostMs, () => actionsOfRun(client, store, runId));
  } catch (error) {
    log.warn(
      { cause: String(error) },
      'the histories of the run could not be read: its Temporal actions are not counted',
    );
    return undefined;
  }
}

/** Of its executions and their children; of those that the server does not know any more by the histories that the store keeps. */
async function actionsOfRun(client: Client, store: ArtifactStore, runId: string): Promise<number> {
  const limit = pLimit(fetchesAtOnce);
  const counted = new Set<string>();
  let actions = 0;
  const count = (execution: Execution, history: History): void => {
    counted.add(historyName(runId, execution));
    actions += actionsIn(history);
  };
  for await (const { execution, history } of executionsOf(client, runId)) {
    count(execution, history);
    const children = childrenOf(history);
    await Promise.all(children.map((child) => limit(async () => count(child, await fetchHistory(client, child)))));
  }
  for (const name of await listHistories(store, runId)) {
    if (!counted.has(name)) actions += actionsIn(historyFromJSON(await loadHistory(store, runId, name)));
  }
  return actions;
}

/** The server keeps an attribute by itself that tells the versions of a workflow's code: it is not billed. */
const versionAttribute = 'TemporalChangeVersion';

export function actionsIn({ events }: History): number {
  /** Markers of one workflow task count once. */
  const markedTasks = new Set<string>();
  let actions = 0;
  for (const event of events ?? []) {
    if (
      event.workflowExecutionStartedEventAttributes ||
      // Beside the child's own start.
      event.startChildWorkflowExecutionInitiatedEventAttributes ||
      event.activityTaskScheduledEventAttributes ||
      event.timerStartedEventAttributes ||
      event.workflowExecutionSignaledEventAttributes ||
      event.workflowExecutionUpdateAcceptedEventAttributes ||
      event.workflowExecutionOptionsUpdatedEventAttributes
    )
      actions += 1;
    // Written when the activity ends, with the number of its last attempt.
    actions += (event.activityTaskStartedEventAttributes?.attempt ?? 1) - 1;
    const upserted = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields ?? {};
    if (Object.keys(upserted).some((name) => name !== versionAttribute)) actions += 1;
    const marker = event.markerRecordedEventAttributes;
    if (marker) markedTasks.add(String(marker.workflowTaskCompletedEventId));
  }
  return actions + markedTasks.size;
}
