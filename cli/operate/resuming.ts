/** What a run had reached, from the store: a run whose workflow is gone (ended, or its server lost) goes on from there, not from its beginning. */
import pLimit from 'p-limit';
import type { CourseChange, FinishedStage, IterationRecord, RunPlan, RunRecord } from '../../activities/types.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { referencesIn } from '../../infra/artifacts/references.ts';
import { listCourse, listLine } from '../../infra/artifacts/runs.ts';
import { evaluationCardFigures, iterationCardFigures } from '../../workflows/cardFigures.ts';
import type { RunMemory } from '../../workflows/runMemory.ts';
import { inStageOrder } from '../stageOrder.ts';

/** Figures of so many iterations are shown again at once. */
const recentIterations = 4;
const looksAtOnce = 32;

/**
 * The memory to start the run's workflow with; undefined = from the beginning, where every finished stage finds its steps in the store. That is also how
 * a run mends what is missing of its lineage, unless its course was changed: then what its beginning was computed by is not its configuration any more.
 */
export async function memoryFromRecord(
  store: ArtifactStore,
  record: RunRecord,
  plan: RunPlan,
  report: { line(text: string): void },
): Promise<RunMemory | undefined> {
  const { policy, originAdapter } = record;
  if (!policy?.adapter || !originAdapter) return undefined;
  const epoch = record.epoch ?? 0;
  const changed = (record.courseChanges ?? 0) > 0 || record.forkedFrom !== undefined;
  const line = await lineOf(store, record);
  const whole = await allPresent(store, [record, ...line]);
  if (!whole && !changed) {
    report.line('Not everything that the run has made is in the store any more: it goes through its stages again.');
    return undefined;
  }
  const start = whole ? record : await newestWhole(store, record, line);
  if (!start) return undefined;
  if (!whole)
    report.line(
      `Not everything that the run has made is in the store any more: it goes on after iteration ${start.iteration}.`,
    );

  const course = await listCourse<CourseChange>(store, record.runId);
  const recent = line.filter(({ iteration }) => iteration > 0 && iteration <= start.iteration).slice(-recentIterations);
  return {
    epoch: start.iteration === record.iteration ? epoch : epoch + 1,
    iteration: start.iteration,
    policy: start.policy!,
    originAdapter,
    // Without the base model's answers nothing can be compared with them: the evaluations find their chains again.
    ...(record.baseAnswers && whole
      ? { evaluations: shownEvaluations(record), baseAnswers: record.baseAnswers }
      : { evaluations: {} }),
    ...(record.exported ? { exported: record.exported } : {}),
    ...(record.report ? { report: record.report } : {}),
    ...(record.release ? { release: record.release } : {}),
    wallSeconds: record.wallSeconds,
    peakMemoryBytes: record.peakMemoryBytes,
    recent: recent.map(({ iteration, figures }) => ({ iteration, figures: iterationCardFigures(figures) })),
    courseChanges: record.courseChanges ?? 0,
    told: course.slice(-1).map(({ told }) => told),
    guarded: 0,
    progress: {
      runId: record.runId,
      state: 'running',
      stage: 'start',
      iteration: start.iteration,
      iterations: plan.iterations,
      shardsDone: 0,
      shardsTotal: 0,
      notes: [],
      finishedStages: finishedBefore(record),
    },
  };
}

const shownEvaluations = ({ evaluations }: RunRecord): RunMemory['evaluations'] =>
  Object.fromEntries(
    Object.entries(evaluations).map(([name, { artifact, figures }]) => [
      name,
      { artifact, figures: evaluationCardFigures(figures) },
    ]),
  );

/** The iterations that lead to where the run stands, in order; the warm start is the first of them. */
export async function lineOf(store: ArtifactStore, record: RunRecord): Promise<IterationRecord[]> {
  return (await listLine<IterationRecord>(store, record.runId, record)).map(({ value }) => value);
}

async function newestWhole(
  store: ArtifactStore,
  record: RunRecord,
  line: IterationRecord[],
): Promise<Pick<RunRecord, 'iteration' | 'policy'> | undefined> {
  for (const { iteration, policy } of line.toReversed()) {
    if (await allPresent(store, [policy])) return { iteration, policy };
  }
  const origin = { model: record.policy!.model, adapter: record.originAdapter! };
  return (await allPresent(store, [origin])) ? { iteration: 0, policy: origin } : undefined;
}

/** By size only: what has rotten is found when it is read. */
async function allPresent(store: ArtifactStore, values: unknown[]): Promise<boolean> {
  const refs = new Map(referencesIn(values).map((ref) => [ref.sha256, ref]));
  const limit = pLimit(looksAtOnce);
  const present = await Promise.all(
    [...refs.values()].map((ref) => limit(() => store.has({ ...ref, uri: `${store.uri}/objects/${ref.sha256}` }))),
  );
  return present.every(Boolean);
}

export function finishedBefore({ wallSeconds }: RunRecord): FinishedStage[] {
  return inStageOrder(wallSeconds).map(([stage, seconds]) => ({ stage, seconds, cached: true }));
}
