/** The run's own records in the store: what `cada status`, `cada report` and a resumed run read when no server is up. */
import { Context } from '@temporalio/activity';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
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
import type { EvaluationArtifact } from './summariseEvaluation.ts';
import { readJson } from './inputs.ts';
import { toldFigures } from './toldFigures.ts';
import { historyName } from './executions.ts';

/**
 * Keeps the newest record, with all figures of its evaluations: the run itself holds those that its card shows. Answers with this process's peak memory,
 * for the record's next version.
 */
export async function saveRun(
  { store }: ActivityDependencies,
  run: RunContext,
  told: ToldRecord,
  release?: ReleaseState,
): Promise<Figures> {
  const known = await loadRun<RunRecord>(store, run.runId);
  const { runId, configuration, library } = run;
  const forkedFrom = known?.record.forkedFrom;
  const record: RunRecord = {
    ...{ runId, configuration, library, ...told },
    evaluations: await withAllFigures(store, told.evaluations, known?.record.evaluations ?? {}),
    ...(release ? { release } : {}),
    ...(forkedFrom ? { forkedFrom } : {}),
  };
  await putRun(store, runId, record, known?.etag);
  return peakMemory();
}

/** Figures of each evaluation, from the record before this one where it had the same evaluation, else from the artifact. */
async function withAllFigures(
  store: ArtifactStore,
  told: RunRecord['evaluations'],
  known: RunRecord['evaluations'],
): Promise<RunRecord['evaluations']> {
  const whole: RunRecord['evaluations'] = {};
  for (const [name, evaluation] of Object.entries(told)) {
    const { artifact } = evaluation;
    const before = known[name];
    whole[name] =
      before?.artifact.sha256 === artifact.sha256
        ? before
        : { artifact, figures: toldFigures(await readJson<EvaluationArtifact>(store, artifact)) };
  }
  return whole;
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
