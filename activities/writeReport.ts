/** Gathers a run's figures, chains and lineage from the store and renders the report: one self-contained HTML file. */
import { ApplicationFailure } from '@temporalio/activity';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { ScoredChain } from '../alignment/chains/chain.ts';
import { compareEvaluations, headlines } from '../alignment/evaluation/comparison.ts';
import { compareExposures } from '../alignment/evaluation/exposure.ts';
import { estimateRun } from '../alignment/plan/estimateRun.ts';
import { compareLosses } from '../alignment/evaluation/utility.ts';
import type { ReportData, ReportedEvaluation, ReportedIteration } from '../alignment/report/reportData.ts';
import type { ReleaseVerdict } from '../alignment/governance/releaseCriteria.ts';
import { engineVersion } from '../engine/version.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { listCourse, listIterations, listLine, loadIteration, loadRun } from '../infra/artifacts/runs.ts';
import { deriveSeed } from '../infra/artifacts/seeds.ts';
import type { ArtifactRef, CourseChange, IterationRecord, RunContext, RunRecord } from './types.ts';
import { trainingChains } from './trainingChains.ts';
import type { DecisionArtifact } from './chooseMethod.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson } from './inputs.ts';
import type { FolderManifest, ModelManifest } from './plans.ts';
import type { EvaluationArtifact } from './summariseEvaluation.ts';
import { usedTemporalActions } from './temporalActions.ts';
import { usedResources } from './usedResources.ts';

/** In the order of the run. */
const evaluationNames = ['before', 'warm start', 'after'];

export async function writeReport(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { exported: ArtifactRef },
): Promise<ArtifactRef> {
  const { store } = dependencies;
  // The run saves its record before each stage: handed over here it would be the largest payload of all.
  const { record } = (await loadRun<RunRecord>(store, run.runId))!;
  const configuration = await readConfiguration(store, run);
  const evaluations: ReportedEvaluation[] = [];
  // The store keeps them by name, in alphabetical order.
  for (const name of evaluationNames.filter((one) => record.evaluations[one] !== undefined)) {
    const { artifact } = record.evaluations[name]!;
    evaluations.push({ ...(await readJson<EvaluationArtifact>(store, artifact)), sha256: artifact.sha256 });
  }
  const model = await readJson<ModelManifest>(store, record.policy!.model);
  const folder = await readJson<FolderManifest>(store, input.exported);
  const iterations = await listIterations<IterationRecord>(store, run.runId);
  const line = await listLine<IterationRecord>(store, run.runId, record);
  await refuseStaleListing(store, record, [iterations, line]);
  const course = await listCourse<CourseChange>(store, run.runId);
  const data: ReportData = {
    runId: run.runId,
    state: record.state,
    configuration,
    configurationSha256: run.configuration.sha256,
    librarySha256: run.library.sha256,
    model: {
      name: model.name,
      baseModelName: model.baseModelName,
      origin: model.origin,
      digest: model.digest,
      notes: model.notes,
    },
    adapterSha256: record.policy!.adapter!.sha256,
    ...comparisons(configuration, evaluations),
    evaluations,
    iterations: line.map(({ value }) => reportedIteration(value)),
    ...(await trainingChains(dependencies, run, line)),
    course: course.map(({ told, by, at, epoch, iteration }) => ({ told, by, at, epoch, iteration })),
    ...(await decisions(store, iterations, line)),
    ...(await toldRelease(store, record)),
    wallSeconds: record.wallSeconds,
    peakMemoryBytes: record.peakMemoryBytes,
    planned: estimateRun(configuration),
    used: {
      ...(await usedResources(
        store,
        record,
        iterations.map(({ value }) => value),
        folder,
      )),
      ...(await usedServices(dependencies, run)),
    },
    exported: folder.files.map(({ path, artifact }) => ({ path, sha256: artifact.sha256, bytes: artifact.bytes })),
    versions: { engine: engineVersion, node: process.versions.node },
  };
  // With its charts the largest part of a worker's code, and needed at a run's end alone.
  const { renderReport } = await import('../alignment/report/renderReport.ts');
  return store.putBytes(renderReport(data), 'report');
}

/** What the run has asked of store and Temporal server up to now. */
async function usedServices(
  dependencies: ActivityDependencies,
  { runId }: RunContext,
): Promise<Pick<ReportData['used'], 'storeRequests' | 'temporalActions' | 'heartbeats'>> {
  const temporalActions = await usedTemporalActions(dependencies, runId);
  return { ...(temporalActions === undefined ? {} : { temporalActions }), ...(await dependencies.use?.total(runId)) };
}

/** What was judged and decided of the run's release, as pages tell it. */
export async function toldRelease(store: ArtifactStore, { release }: RunRecord): Promise<Pick<ReportData, 'release'>> {
  if (!release) return {};
  const { status, decision } = release;
  const verdict = await readJson<ReleaseVerdict>(store, release.verdict);
  return { release: { status, verdict, ...(decision ? { decision } : {}) } };
}

/**
 * A store whose listings lag would give a report without the newest iteration: the next try finds it.
 * @throws ApplicationFailure where the newest iteration is there, but not listed
 */
export async function refuseStaleListing(
  store: ArtifactStore,
  { runId, epoch = 0, iteration }: Pick<RunRecord, 'runId' | 'epoch' | 'iteration'>,
  lists: readonly { epoch: number; n: number }[][],
): Promise<void> {
  if (lists.every((list) => list.some((listed) => listed.epoch === epoch && listed.n === iteration))) return;
  // After a roll-back the iteration that the run stands at is one of an earlier epoch.
  if ((await loadIteration(store, runId, epoch, iteration)) === undefined) return;
  throw ApplicationFailure.retryable(
    `the listing of ${store.uri} does not show iteration ${iteration} of run ${runId} yet, which is there`,
    'StaleListing',
  );
}

/** The run's headlines and the comparisons they come from. */
export function comparisons(
  configuration: Configuration,
  evaluations: readonly ReportedEvaluation[],
): Pick<ReportData, 'headlines' | 'fromBefore' | 'fromWarmStart' | 'benchmarks' | 'exposure'> {
  const named = (name: string) => evaluations.find((one) => one.name === name);
  const rows = (name: string) => named(name)?.answers.map((answer) => answer.scored);
  const benchmarkRows = (name: string) =>
    named(name)?.benchmarks?.flatMap(({ answers }) => answers.map((answer) => answer.scored));
  const options = {
    bootstrapSamples: configuration.evaluation.bootstrapSamples,
    seed: deriveSeed(configuration.seed, 'bootstrap'),
  };
  const compare = (before: ScoredChain[] | undefined, later: ScoredChain[] | undefined) =>
    before && later ? compareEvaluations(before, later, options) : undefined;
  const after = named('after')!;
  const fromBefore = compareEvaluations(rows('before')!, rows('after')!, options);
  const fromWarmStart = compare(rows('warm start'), rows('after'));
  const losses = named('warm start')?.losses;
  const loss = losses && after.losses ? compareLosses(losses, after.losses, options) : null;
  const benchmarksFromBefore = compare(benchmarkRows('before'), benchmarkRows('after'));
  const benchmarksFromWarmStart = compare(benchmarkRows('warm start'), benchmarkRows('after'));
  return {
    headlines: headlines(
      after.figures,
      fromBefore,
      fromWarmStart && {
        requests: fromWarmStart,
        loss,
        // A run of an older version knows none.
        ...(configuration.evaluation.benchmarks?.length ? { benchmarks: benchmarksFromWarmStart ?? null } : {}),
      },
    ),
    fromBefore,
    ...(fromWarmStart ? { fromWarmStart } : {}),
    ...exposureOf(configuration, evaluations, options),
    ...(benchmarksFromBefore
      ? {
          benchmarks: {
            fromBefore: benchmarksFromBefore,
            ...(benchmarksFromWarmStart ? { fromWarmStart: benchmarksFromWarmStart } : {}),
          },
        }
      : {}),
  };
}

/** Changes on seen and on unseen hazards, where some are withheld. */
function exposureOf(
  { library: { withhold = [] } }: Configuration,
  evaluations: readonly ReportedEvaluation[],
  options: { bootstrapSamples: number; seed: string },
): Pick<ReportData, 'exposure'> {
  if (withhold.length === 0) return {};
  const answers = (name: string) => evaluations.find((one) => one.name === name)?.answers;
  const warmStart = answers('warm start');
  const from = (before: ReportedEvaluation['answers']) =>
    compareExposures(before, answers('after')!, withhold, options);
  return {
    exposure: {
      withheld: withhold,
      fromBefore: from(answers('before')!),
      ...(warmStart ? { fromWarmStart: from(warmStart) } : {}),
    },
  };
}

/** Of every cycle that a validator has judged, also of one that was given up, and of the policy before the first. */
async function decisions(
  store: ArtifactStore,
  iterations: readonly { value: IterationRecord }[],
  line: readonly { value: IterationRecord }[],
): Promise<Pick<ReportData, 'validator'>> {
  const kept = new Set(line.map(({ value }) => `${value.epoch}/${value.iteration}`));
  const validator: NonNullable<ReportData['validator']> = [];
  for (const { value } of iterations) {
    if (!value.validation) continue;
    const decision = await readJson<DecisionArtifact>(store, value.validation);
    if (validator.length === 0 && decision.previous)
      validator.push({ ...(await readJson<DecisionArtifact>(store, decision.previous)), givenUp: false });
    validator.push({ ...decision, givenUp: !kept.has(`${value.epoch}/${value.iteration}`) });
  }
  return validator.length > 0 ? { validator } : {};
}

function reportedIteration(record: IterationRecord): ReportedIteration {
  const named = {
    plan: record.plan,
    chains: record.chains,
    rewards: record.rewards,
    ...(record.preferences ? { preferences: record.preferences } : {}),
    ...(record.validation ? { validation: record.validation } : {}),
    update: record.updatePlan,
    evaluation: record.evaluation,
  };
  return {
    iteration: record.iteration,
    epoch: record.epoch,
    figures: record.figures,
    seconds: record.seconds,
    adapterSha256: record.policy.adapter!.sha256,
    parentSha256: record.parent,
    artifacts: Object.entries(named).flatMap(([name, ref]) =>
      ref ? [{ name, sha256: ref.sha256, uri: ref.uri }] : [],
    ),
  };
}
