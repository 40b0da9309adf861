/** Keeps the histories of an execution of a run in the store once it has ended; started by the run itself, which outlives no end of its own. */
import { ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { archive } from './stages.ts';
import type { RunAtWork } from './runMemory.ts';
import { takesNewerBuilds } from './versioning.ts';
import type { RunContext } from '../activities/types.ts';

takesNewerBuilds(archiveRun);

export async function archiveRun(run: RunContext, executionId: string): Promise<number> {
  return archive.archiveHistories.executeWithOptions({ summary: 'histories of the run and of its children' }, [
    run,
    executionId,
  ]);
}

/** To be called last, before an execution ends. */
export async function archiveAfterwards(work: RunAtWork): Promise<void> {
  const { run, server } = work;
  if (!server.archive || work.archived) return;
  work.archived = true;
  const { workflowId, runId: executionId } = workflowInfo();
  await startChild(archiveRun, {
    workflowId: `${workflowId}/archive-${executionId.slice(0, 8)}`,
    parentClosePolicy: ParentClosePolicy.ABANDON,
    args: [run, executionId],
    staticSummary: 'keeps the histories in the store',
  });
}
