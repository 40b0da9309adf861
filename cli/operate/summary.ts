/** What a run has come to, gathered from the store: figures by evaluation, headlines, time by stage. */
import { readConfiguration, readJson } from '../../activities/inputs.ts';
import type { ModelManifest } from '../../activities/plans.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import { comparisons } from '../../activities/writeReport.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { EvaluationFigures, Rate } from '../../alignment/evaluation/figures.ts';
import { requestKinds } from '../../alignment/library/library.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listLine, loadRun } from '../../infra/artifacts/runs.ts';
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import { badInput } from '../errors.ts';
import type { RunRequest, RunSummary } from '../operations.ts';
import { releaseOf } from './release.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';

export async function summarise({ runId, storeUri }: Omit<RunRequest, 'signal'>): Promise<RunSummary> {
  const store = await openStore(storeUri);
  const record = (await loadRun<RunRecord>(store, runId))?.record;
  if (!record) throw badInput(`There is no run "${runId}" in ${store.uri}.`, '`cada runs` lists them.');
  // A run of an older version lacks the settings that have been added since.
  const configuration = configurationSchema.parse(await readConfiguration(store, record));
  const release = await releaseOf(store, record);
  const names = ['before', 'warm start', 'after'].filter((name) => record.evaluations[name] !== undefined);
  return {
    iterations: record.iteration,
    split: configuration.evaluation.split,
    ...(await comparedBy(store, record, names)),
    byIteration: (await listLine<IterationRecord>(store, runId, record)).map(({ value }) => ({
      iteration: value.iteration,
      adapterSha256: value.policy.adapter!.sha256,
      figures: value.figures,
    })),
    planned: estimateRun(configuration).stages,
    spent: record.wallSeconds,
    peakMemoryBytes: record.peakMemoryBytes,
    ...(release ? { release } : {}),
    ...(record.policy ? { modelNotes: (await readJson<ModelManifest>(store, record.policy.model)).notes } : {}),
    ...(record.policy?.adapter ? { adapterSha256: record.policy.adapter.sha256 } : {}),
  };
}

/** What needs the answers of the evaluations: intervals, the report's first lines, and seen and unseen hazards. */
async function comparedBy(
  store: ArtifactStore,
  record: RunRecord,
  names: readonly string[],
): Promise<Pick<RunSummary, 'evaluations' | 'headlines' | 'exposure'>> {
  const evaluations = await Promise.all(
    names.map(async (name) => {
      const { artifact } = record.evaluations[name]!;
      return { ...(await readJson<EvaluationArtifact>(store, artifact)), sha256: artifact.sha256 };
    }),
  );
  const configuration = await readConfiguration(store, record);
  const isWhole = names.includes('before') && names.includes('after');
  const { headlines = [], exposure = undefined } = isWhole ? comparisons(configuration, evaluations) : {};
  const told = evaluations.map(({ name, figures }) => ({
    ...{ name, figures: record.evaluations[name]!.figures },
    rates: ratesOf(figures),
  }));
  const { withhold = [] } = configuration.library;
  if (withhold.length === 0) return { evaluations: told, headlines };
  const { withheld = withhold, ...changes } = exposure ?? {};
  return {
    evaluations: told,
    headlines,
    exposure: {
      withheld,
      evaluations: evaluations.map(({ name, byExposure }) => ({
        name,
        refusal: { seen: refusalsOf(byExposure?.seen), unseen: refusalsOf(byExposure?.unseen) },
      })),
      ...('fromBefore' in changes ? { changes } : {}),
    },
  };
}

/** By the names that the record has for them. */
function ratesOf({ all, byKind }: EvaluationFigures): Record<string, Rate> {
  const rates: [string, Rate | null][] = [
    ['format', all.format],
    ...requestKinds.map((kind): [string, Rate | null] => [`refusal/${kind}`, byKind[kind].refusal]),
  ];
  return Object.fromEntries(rates.flatMap(([name, rate]) => (rate ? [[name, rate]] : [])));
}

const refusalsOf = (figures: EvaluationFigures | undefined) => ({
  harmful: figures?.byKind.harmful.refusal ?? null,
  'look-alike': figures?.byKind['look-alike'].refusal ?? null,
});
