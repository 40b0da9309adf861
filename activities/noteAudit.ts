/** Entries of a run's audit log that its workflow asks for: what was asked of it by an update, from the command line or the Temporal UI. */
import { Context } from '@temporalio/activity';
import { appendAudit } from '../infra/artifacts/audit.ts';
import type { AuditNote } from '../alignment/governance/auditChain.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { RunContext } from './types.ts';

/** Without `who` the update's sender is looked for in the workflow's history. */
export interface ToldAudit extends Omit<AuditNote, 'who'> {
  who?: string;
  /** Id of the update that asked for it. */
  updateId?: string;
}

export async function noteAudit(
  { store }: Pick<ActivityDependencies, 'store'>,
  { runId }: RunContext,
  { who, updateId, ...note }: ToldAudit,
): Promise<void> {
  const sender = who ?? (await senderOf(updateId));
  await appendAudit(store, runId, { ...note, who: sender }, { event: eventOfActivity() });
}

/** The same for every attempt of the activity at work. */
export function eventOfActivity(): string {
  const { activityId, workflowExecution } = Context.current().info;
  return `${workflowExecution?.runId}/activity ${activityId}`;
}

const mostEvents = 200;
const longestIdentity = 200;

/** Who sent an update that gives no name, as the server has it: a client's identity; the Temporal UI may give none. */
export async function senderOf(updateId: string | undefined): Promise<string> {
  const { client, info } = Context.current();
  try {
    const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: client.options.namespace,
      execution: info.workflowExecution!,
      maximumPageSize: mostEvents,
    });
    for (const event of history?.events ?? []) {
      const meta = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.meta;
      if (meta?.updateId === updateId && meta?.identity)
        return `Temporal client ${meta.identity}`.slice(0, longestIdentity);
    }
  } catch {
    // Who it was is then not known; that it was asked must be told all the same.
  }
  return 'unnamed, through Temporal';
}
