/** One unit of a study: what is to be done, and what it has come to. */
import { outcomeOf } from '../alignment/study/outcomes.ts';
import type { UnitCost } from '../alignment/study/studyFigures.ts';
import { engineVersion } from '../engine/version.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { appendAudit } from '../infra/artifacts/audit.ts';
import { announceStudyPlan } from '../infra/artifacts/otherWork.ts';
import { listLine, loadRun } from '../infra/artifacts/runs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { generatedChains } from './generateChains.ts';
import { readConfiguration, readJson } from './inputs.ts';
import type { SuiteResult } from './judgeSuites.ts';
import type { FolderManifest, GenerationPlan } from './plans.ts';
import {
  unitDocument,
  type AnsweredUnit,
  type OpenedUnit,
  type PlannedUnit,
  type StudyInput,
  type StudyPlan,
  type UnitRecord,
} from './studyPlans.ts';
import type { Figures, IterationRecord, RunRecord } from './types.ts';
import { usedResources } from './usedResources.ts';

/** What is to be done for a unit; of what is done already the store says so, whatever machine did it. */
export async function openStudyUnit(
  { store }: ActivityDependencies,
  { studyId, plan }: StudyInput,
  index: number,
): Promise<OpenedUnit> {
  // A study that an older version has started has not said so.
  await announceStudyPlan(store, studyId, plan);
  const { study, questions, judge, guard, attacks, units } = await readJson<StudyPlan>(store, plan);
  const { id, evaluation, inference, training } = units[index]!;
  const record = training && (await loadRun<RunRecord>(store, training.run.runId))?.record;
  if (training && !record) {
    const { configuration, library } = training.run;
    const details = { configuration: configuration.sha256, library: library.sha256, engine: engineVersion, unit: id };
    // Units that differ in how they are asked alone have one run.
    const note = { who: `study ${studyId}`, what: 'run started', details };
    await appendAudit(store, training.run.runId, note, { event: 'start/study' });
  }
  return {
    ...{ id, questions, evaluation },
    ...(judge ? { judge } : {}),
    ...(guard ? { guard } : {}),
    ...(attacks ? { attacks } : {}),
    ...(inference ? { inference } : {}),
    ...(training ? { training } : {}),
    ...(study.faithfulness && training ? { faithfulness: true as const } : {}),
    ...(record?.state === 'done' && record.policy ? { policy: record.policy } : {}),
    done: (await store.getDocument(unitDocument(studyId, id))) !== undefined,
  };
}

/** Commits a unit's figures: what a fresh machine goes on from. */
export async function recordStudyUnit(
  dependencies: ActivityDependencies,
  { studyId, plan }: StudyInput,
  answered: AnsweredUnit,
): Promise<void> {
  const { store } = dependencies;
  const planned = (await readJson<StudyPlan>(store, plan)).units[answered.unit]!;
  const { id, arm, model, seed, training } = planned;
  const result = await readJson<SuiteResult>(store, answered.result);
  const record: UnitRecord = {
    ...{ unit: id, arm, model, seed, at: new Date().toISOString() },
    modelName: result.model.name,
    modelDigest: result.model.digest,
    adapterSha256: result.model.adapterSha256,
    maxNewTokens: result.maxNewTokens,
    rubricJudge: result.rubricJudge,
    ...(result.guardJudge === undefined ? {} : { guardJudge: result.guardJudge }),
    result: answered.result,
    ...(training ? { runId: training.run.runId } : {}),
    cost: { ...(await costOf(dependencies, planned, answered)), ...judgeCost(result.judge) },
    outcomes: result.answers.map(outcomeOf),
    ...(result.faithfulness ? { faithfulness: result.faithfulness.pairs } : {}),
  };
  await store.putDocument(unitDocument(studyId, id), record, 'ifAbsent');
}

/** Absent where no judge was asked. */
function judgeCost(figures: Figures): Pick<UnitCost, 'judge'> {
  const { 'judge/asked': asked, 'judge/kept': kept = 0, 'judge/cost': cost = 0 } = figures;
  if (asked === undefined) return {};
  return { judge: { asked, kept, cost, meanLatencyMs: figures['judge/mean_latency_ms'] ?? 0 } };
}

/** Of the computations themselves: what another study, or another machine, has done counts as much. */
async function costOf(
  dependencies: ActivityDependencies,
  { evaluation, training }: PlannedUnit,
  { generation, policy }: AnsweredUnit,
): Promise<UnitCost> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, evaluation);
  const plan = await readJson<GenerationPlan>(store, generation);
  const cost: UnitCost = { answers: 0, tokens: 0, seconds: 0 };
  for (const shard of plan.shards.keys()) {
    const manifest = await generatedChains(dependencies, plan, shard, policy, configuration);
    const { chains = 0, tokens = 0, seconds = 0 } = (manifest?.figures ?? {}) as Record<string, number | undefined>;
    cost.answers += chains;
    cost.tokens += tokens;
    cost.seconds += seconds;
  }
  return training ? { ...cost, training: await trainingCost(store, training.run.runId) } : cost;
}

const trainingStages = ['warm start', 'fresh adapter', 'iterations'];

async function trainingCost(store: ArtifactStore, runId: string): Promise<UnitCost['training'] & object> {
  const record = (await loadRun<RunRecord>(store, runId))!.record;
  const iterations = await listLine<IterationRecord>(store, runId, record);
  const exported = record.exported ? await readJson<FolderManifest>(store, record.exported) : { files: [] };
  const used = await usedResources(
    store,
    record,
    iterations.map(({ value }) => value),
    exported,
  );
  return {
    seconds: trainingStages.reduce((sum, stage) => sum + (record.wallSeconds[stage] ?? 0), 0),
    generatedTokens: iterations.reduce((sum, { value }) => sum + (value.figures['num_tokens'] ?? 0), 0),
    trainedTokens: used.trainedTokens,
  };
}
