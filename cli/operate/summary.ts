/** What a run has come to, gathered from the store: figures by evaluation, headlines, time by stage. */
import { readConfiguration, readJson } from '../../activities/inputs.ts';
import type { ModelManifest } from '../../activities/plans.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import { comparisons } from '../../activities/writeReport.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { Headline } from '../../alignment/evaluation/comparison.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listLine, loadRun } from '../../infra/artifacts/runs.ts';
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import { badInput } from '../errors.ts';
import type { RunRequest, RunSummary } from '../operations.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';

export async function summarise({ runId, storeUri }: Omit<RunRequest, 'signal'>): Promise<RunSummary> {
  const store = await openStore(storeUri);
  const record = (await loadRun<RunRecord>(store, runId))?.record;
  if (!record) throw badInput(`There is no run "${runId}" in ${store.uri}.`, '`cada runs` lists them.');
  // A run of an older version lacks the settings that have been added since.
  const configuration = configurationSchema.parse(await readConfiguration(store, record));
  const names = ['before', 'warm start', 'after'].filter((name) => record.evaluations[name] !== undefined);
  return {
    iterations: record.iteration,
    split: configuration.evaluation.split,
    evaluations: names.map((name) => ({ name, figures: record.evaluations[name]!.figures })),
    headlines: await headlinesOf(store, record),
    byIteration: (await listLine<IterationRecord>(store, runId, record)).map(({ value }) => ({
      iteration: value.iteration,
      adapterSha256: value.policy.adapter!.sha256,
      figures: value.figures,
    })),
    planned: estimateRun(configuration).stages,
    spent: record.wallSeconds,
    peakMemoryBytes: record.peakMemoryBytes,
    ...(record.policy ? { modelNotes: (await readJson<ModelManifest>(store, record.policy.model)).notes } : {}),
    ...(record.policy?.adapter ? { adapterSha256: record.policy.adapter.sha256 } : {}),
  };
}

/** As the report's first lines have them. */
async function headlinesOf(store: ArtifactStore, record: RunRecord): Promise<Headline[]> {
  if (!record.evaluations['before'] || !record.evaluations['after']) return [];
  const evaluations = await Promise.all(
    Object.values(record.evaluations).map(async ({ artifact }) => ({
      ...(await readJson<EvaluationArtifact>(store, artifact)),
      sha256: artifact.sha256,
    })),
  );
  return comparisons(await readConfiguration(store, record), evaluations).headlines;
}
