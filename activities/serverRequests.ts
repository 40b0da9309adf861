/** What a run asks of its Temporal server by an activity, because a workflow can't: to try again now what waits for another try, and to cancel the run. */
import { Context } from '@temporalio/activity';
import type { RunContext } from './types.ts';

/** PENDING_ACTIVITY_STATE_SCHEDULED: waits for a worker or, after a failed attempt, for its back-off to end. */
const scheduled = 1;

/**
 * Lets each activity of these workflows that waits for its next attempt have it now, and counts its attempts from the beginning.
 * @returns a sentence that says which.
 */
export async function skipBackOff(workflowIds: readonly string[]): Promise<string> {
  const { client } = Context.current();
  const { namespace } = client.options;
  const told: string[] = [];
  for (const workflowId of workflowIds) {
    const { raw } = await client.workflow.getHandle(workflowId).describe();
    for (const { activityId, activityType, attempt, state, lastFailure } of raw.pendingActivities ?? []) {
      if (state !== scheduled || (attempt ?? 1) <= 1) continue;
      await client.workflowService.resetActivity({
        namespace,
        execution: { workflowId },
        identity: client.options.identity,
        id: activityId!,
      });
      const because = lastFailure?.message ? ` (${lastFailure.message.split('\n', 1)[0]!.slice(0, 200)})` : '';
      told.push(`${activityType?.name} after ${(attempt ?? 1) - 1} failed attempts${because}`);
    }
  }
  return told.length > 0 ? `tries again now: ${told.join('; ')}` : 'nothing waits for another try';
}

export async function requestCancellation({ runId }: RunContext): Promise<void> {
  await Context.current().client.workflow.getHandle(runId).cancel();
}
