/** What a run has used of tokens and of the store, gathered from its records, for the report to set beside what was planned. */
import pLimit from 'p-limit';
import type { ReportedUse } from '../alignment/report/reportData.ts';
import type { ArtifactRef, ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import type { EvaluationArtifact } from './summariseEvaluation.ts';
import { readJson } from './inputs.ts';
import { addJudgeUse } from './judgePool.ts';
import type { FolderManifest, GradientShard, ModelManifest, OptimisationPlan, ShardList } from './plans.ts';
import type { Figures, IterationRecord, RunRecord } from './types.ts';

/** More than this is not read again for the sake of a count. */
const mostShardBytes = 64 * 2 ** 20;
const readsAtOnce = 8;

/**
 * Tokens written: of all chains and answers. Tokens trained: prompts and completions of all gradient shards; null where they would be long to read.
 * Bytes: of the artifacts that the run refers to, each once, with its gradients (as large as the adapter); shared artifacts count for every run.
 */
export async function usedResources(
  store: ArtifactStore,
  record: RunRecord,
  iterations: readonly IterationRecord[],
  exported: FolderManifest,
): Promise<ReportedUse> {
  const limit = pLimit(readsAtOnce);
  const sizes = new Map<string, number>();
  const note = (ref: ArtifactRef | null | undefined): void => void (ref && sizes.set(ref.sha256, ref.bytes));
  const read = <T>(ref: ArtifactRef): Promise<T> => {
    note(ref);
    return readJson<T>(store, ref);
  };

  const { files } = await read<ModelManifest>(record.policy!.model);
  for (const { artifact } of [...files, ...exported.files]) note(artifact);
  for (const ref of [record.configuration, record.library, record.exported]) note(ref);

  let generatedTokens = 0;
  let gradientBytes = 0;
  const shards: ArtifactRef[] = [];
  const judged: Figures[] = [];
  const countEvaluation = (evaluation: EvaluationArtifact): void => {
    generatedTokens += tokensOf(evaluation);
    judged.push(evaluation.judge ?? {});
  };
  const readIteration = async ({
    policy,
    figures,
    plan,
    chains,
    rewards,
    preferences,
    validation,
    updatePlan,
    evaluation,
  }: IterationRecord) => {
    generatedTokens += (figures['num_tokens'] ?? 0) + (figures['validation/num_tokens'] ?? 0);
    for (const ref of [policy.adapter, policy.optimizer, plan, preferences, validation]) note(ref);
    for (const list of [chains, rewards]) {
      if (list) for (const { artifact } of (await read<ShardList>(list)).shards) note(artifact);
    }
    if (updatePlan) {
      const { steps } = await read<OptimisationPlan>(updatePlan);
      const adapterBytes = policy.adapter?.bytes ?? 0;
      // The last step's adapter and moments are the record's own; those of earlier steps are three times an adapter.
      gradientBytes += (steps.length - 1) * 3 * adapterBytes;
      for (const { shards: ofStep } of steps) {
        gradientBytes += ofStep.length * adapterBytes;
        shards.push(...ofStep);
      }
    }
    judged.push(figures);
    if (evaluation) countEvaluation(await read<EvaluationArtifact>(evaluation));
  };
  await Promise.all(iterations.map((iteration) => limit(() => readIteration(iteration))));
  for (const { artifact } of Object.values(record.evaluations)) {
    countEvaluation(await read<EvaluationArtifact>(artifact));
  }
  for (const shard of shards) note(shard);
  return {
    generatedTokens,
    trainedTokens: await trainedTokens(store, shards, limit),
    ...judgeUse(judged),
    storeBytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0) + gradientBytes,
  };
}

function judgeUse(all: readonly Figures[]): Pick<ReportedUse, 'judge'> {
  const total: Figures = {};
  for (const figures of all) addJudgeUse(total, figures);
  const { 'judge/asked': asked, 'judge/kept': kept = 0, 'judge/cost': cost = 0 } = total;
  if (asked === undefined) return {};
  return { judge: { asked, kept, cost, meanLatencyMs: total['judge/mean_latency_ms'] ?? 0 } };
}

const tokensOf = ({ answers, benchmarks = [] }: EvaluationArtifact): number =>
  [...answers, ...benchmarks.flatMap((benchmark) => benchmark.answers)].reduce(
    (sum, { scored }) => sum + scored.tokens,
    0,
  );

async function trainedTokens(
  store: ArtifactStore,
  shards: readonly ArtifactRef[],
  limit: ReturnType<typeof pLimit>,
): Promise<number | null> {
  if (shards.reduce((sum, { bytes }) => sum + bytes, 0) > mostShardBytes) return null;
  // Not by readJson, which keeps what it has read.
  const counts = shards.map((ref) =>
    limit(async () => {
      const { sequences } = JSON.parse(new TextDecoder().decode(await store.getBytes(ref))) as GradientShard;
      return sequences.reduce((sum, one) => sum + one.promptTokens.length + one.completionTokens.length, 0);
    }),
  );
  return (await Promise.all(counts)).reduce((sum, tokens) => sum + tokens, 0);
}
