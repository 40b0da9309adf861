/** Keeps the histories of an execution of a run in the store once it has ended; started by the run itself, which outlives no end of its own. */
import { ParentClosePolicy, patched, startChild, workflowInfo } from '@temporalio/workflow';
import { archive } from './stages.ts';
import type { RunAtWork } from './runMemory.ts';
import { takesNewerBuilds } from './versioning.ts';
import type { RunContext } from '../activities/types.ts';
import type { HistoryOwner } from '../infra/artifacts/runs.ts';

takesNewerBuilds(archiveRun);

export async function archiveRun(
  run: Pick<RunContext, 'runId'>,
  executionId: string,
  owner?: HistoryOwner,
): Promise<number> {
  const asked = owner === undefined ? ([run, executionId] as const) : ([run, executionId, owner] as const);
  return archive.archiveHistories.executeWithOptions({ summary: 'histories of the workflow and of its children' }, [
    ...asked,
  ]);
}

/** To be called last, before an execution ends. */
export async function archiveAfterwards(work: RunAtWork): Promise<void> {
  const { run, server } = work;
  if (!server.archive || work.archived) return;
  work.archived = true;
  await startArchiver([run]);
}

/** The same of a study. */
export async function archiveStudyAfterwards(studyId: string): Promise<void> {
  await startArchiver([{ runId: studyId }, 'other work']);
}

async function startArchiver([run, owner]: [Pick<RunContext, 'runId'>, HistoryOwner?]): Promise<void> {
  const { workflowId, runId: executionId } = workflowInfo();
  // An execution's id begins with the time: executions of one minute begin alike, and only their ends differ.
  const part = patched('archiver-by-end-of-id') ? executionId.slice(-8) : executionId.slice(0, 8);
  await startChild(archiveRun, {
    workflowId: `${workflowId}/archive-${part}`,
    parentClosePolicy: ParentClosePolicy.ABANDON,
    args: owner === undefined ? [run, executionId] : [run, executionId, owner],
    staticSummary: 'keeps the histories in the store',
  });
}
