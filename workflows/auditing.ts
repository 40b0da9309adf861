/** What a run tells its audit log of the updates that it was sent. Changes of course are told by the activity that makes them. */
import { CancellationScope, currentUpdateInfo, isCancellation, log, patched } from '@temporalio/workflow';
import { nameProblem } from '../alignment/governance/decision.ts';
import type { RunAtWork } from './runMemory.ts';
import { control } from './stages.ts';
import type { ToldAudit } from '../activities/noteAudit.ts';
import type { Asked } from '../activities/types.ts';

/** @throws Error where who asks is no name: of an update, before it is accepted. */
export function refuseNameless(asked: Asked | undefined): void {
  if (asked?.by === undefined) return;
  const problem = nameProblem(asked.by);
  if (problem) throw new Error(`"by" ${problem}`);
}

/**
 * Tells the log what was asked. A run that was begun before there was a log goes on without one until its next update.
 * What can't be told, because the store has been away for long, is noted where the operator looks; the run goes on.
 */
export async function tellAudit(
  { run, memory }: RunAtWork,
  asked: Asked | undefined,
  told: Omit<ToldAudit, 'who' | 'updateId'>,
): Promise<void> {
  if (!patched('audit-log')) return;
  const updateId = currentUpdateInfo()?.id;
  // Not with the run: that it was cancelled must be told too.
  await CancellationScope.nonCancellable(async () => {
    try {
      await control.noteAudit.executeWithOptions({ summary: `audit: ${told.what}` }, [
        run,
        { ...told, ...(asked?.by ? { who: asked.by } : {}), ...(updateId ? { updateId } : {}) },
      ]);
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.warn('The audit log could not be written', { what: told.what, cause: String(error) });
      memory.progress.notes = [...memory.progress.notes, `"${told.what}" is missing in the audit log`];
    }
  });
}
