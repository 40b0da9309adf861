/** The run's own records in the store: what `cada status`, `cada report` and a resumed run read when no server is up. */
import { Context } from '@temporalio/activity';
import { loadRun, saveIteration, saveRun as putRun } from '../infra/artifacts/runs.ts';
import type {
  Figures,
  IterationLineage,
  IterationMeasures,
  IterationRecord,
  ReleaseState,
  RunContext,
  RunRecord,
  ToldRecord,
} from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { historyName } from './histories.ts';

/**
 * Keeps the newest record. Answers with this process's peak memory, for the record's next version.
 * @param decision about the record's release
 */
export async function saveRun(
  { store }: ActivityDependencies,
  run: RunContext,
  told: ToldRecord,
  decision?: ReleaseState['decision'],
): Promise<Figures> {
  const known = await loadRun<RunRecord>(store, run.runId);
  const { runId, configuration, library } = run;
  const forkedFrom = known?.record.forkedFrom;
  const record: RunRecord = {
    ...{ runId, configuration, library, ...told },
    ...(told.release && decision ? { release: { ...told.release, decision } } : {}),
    ...(forkedFrom ? { forkedFrom } : {}),
  };
  await putRun(store, runId, record, known?.etag);
  return peakMemory();
}

/** Lists a finished iteration, and notes in the run's record how far it has come: so the run itself need not, between its iterations. */
export async function recordIteration(
  { store }: ActivityDependencies,
  run: RunContext,
  lineage: IterationLineage,
  measures: IterationMeasures,
): Promise<Figures> {
  const { workflowId, runId: executionId } = Context.current().info.workflowExecution!;
  const record: IterationRecord = {
    ...lineage,
    ...measures,
    configuration: run.configuration,
    history: historyName(run.runId, { workflowId, executionId }),
  };
  await saveIteration(store, run.runId, lineage.epoch, lineage.iteration, record);
  // The warm start's record is saved by the run itself: an evaluation comes next.
  if (lineage.iteration > 0) await noteIteration(store, run.runId, record);
  return peakMemory();
}

async function noteIteration(
  store: ActivityDependencies['store'],
  runId: string,
  { epoch, iteration, policy, wallSeconds = 0, peakMemoryBytes }: IterationRecord,
): Promise<void> {
  const known = await loadRun<RunRecord>(store, runId);
  // Told already by an attempt before this one, or given up meanwhile for an earlier iteration.
  if (!known) return;
  const { record } = known;
  const knownEpoch = record.epoch ?? 0;
  if (knownEpoch > epoch || (knownEpoch === epoch && record.iteration >= iteration)) return;
  const engine = Math.max(record.peakMemoryBytes['engine'] ?? 0, peakMemoryBytes);
  const newer: RunRecord = {
    ...record,
    stage: `iteration ${iteration}`,
    epoch,
    iteration,
    policy,
    wallSeconds: { ...record.wallSeconds, iterations: (record.wallSeconds['iterations'] ?? 0) + wallSeconds },
    peakMemoryBytes: { ...record.peakMemoryBytes, ...(engine > 0 ? { engine } : {}) },
  };
  await putRun(store, runId, newer, known.etag);
}

/** ru_maxrss is in KiB on Linux and, through libuv, on macOS too. */
const peakMemory = (): Figures => ({ 'control worker': process.resourceUsage().maxRSS * 1024 });
