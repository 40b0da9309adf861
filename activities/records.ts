/** The run's own records in the store: what `cada status`, `cada report` and a resumed run read when no server is up. */
import { loadRun, saveIteration, saveRun as putRun } from '../infra/artifacts/runs.ts';
import type { Figures, IterationLineage, IterationMeasures, IterationRecord, RunContext, RunRecord } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** Keeps the newest record. Answers with this process's peak memory, for the record's next version. */
export async function saveRun({ store }: ActivityDependencies, run: RunContext, record: RunRecord): Promise<Figures> {
  const known = await loadRun<RunRecord>(store, run.runId);
  await putRun(store, run.runId, record, known?.etag);
  // ru_maxrss is in KiB on Linux and, through libuv, on macOS too.
  return { 'control worker': process.resourceUsage().maxRSS * 1024 };
}

export async function recordIteration(
  { store }: ActivityDependencies,
  run: RunContext,
  lineage: IterationLineage,
  measures: IterationMeasures,
): Promise<void> {
  const record: IterationRecord = { ...lineage, ...measures };
  await saveIteration(store, run.runId, lineage.epoch, lineage.iteration, record);
}
