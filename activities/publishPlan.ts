/** Publishes the optimizer steps of a plan, each cut into shards of 2^k groups: aligned subtrees of the sum, so that the cut can't change bits. */
import type { Configuration } from '../alignment/configuration/schema.ts';
import { groupsPerShard } from '../alignment/plan/groupsPerShard.ts';
import type { Objective, TrainingSequence } from '../engine/policy.ts';
import { promptGroups, tokenLimitFor, type ScoredSequence } from '../engine/train/planMicroBatches.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, UpdatePlan } from './types.ts';
import type { GradientShard, OptimisationPlan } from './plans.ts';

export interface PlannedStep {
  objective: Objective;
  learningRate: number;
  settings: { weightDecay: number; maxGradNorm: number };
  /** In canonical order. */
  sequences: TrainingSequence[];
}

export async function publishPlan(
  store: ArtifactStore,
  kind: OptimisationPlan['kind'],
  steps: readonly PlannedStep[],
  { trained, shards, engine }: Pick<Configuration, 'trained' | 'shards' | 'engine'>,
  figures: Figures,
): Promise<UpdatePlan> {
  const plan: OptimisationPlan = { kind, steps: [], figures };
  for (const { objective, learningRate, settings, sequences } of steps) {
    const refs: ArtifactRef[] = [];
    const tokenLimit = tokenLimitFor(trained === 'all', engine.microBatchTokens);
    for (const own of shardsOf(sequences, shards.gradientSequences, tokenLimit)) {
      const shard: GradientShard = { objective, sequences: own };
      refs.push(await store.putBytes(canonicalJson(shard), 'gradient-shard'));
    }
    const { weightDecay, maxGradNorm } = settings;
    plan.steps.push({
      shards: refs,
      optimizer: { learningRate, weightDecay, maxGradNorm, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    });
  }
  return {
    plan: await store.putBytes(canonicalJson(plan), 'optimisation-plan'),
    shardsPerStep: plan.steps.map((step) => step.shards.length),
    sequences: steps.reduce((sum, step) => sum + step.sequences.length, 0),
    figures,
  };
}

/** Sequences cut between the groups that the engine computes together, of as many groups each as hold about `shardSequences` sequences. */
export function shardsOf<T extends ScoredSequence>(
  sequences: readonly T[],
  shardSequences: number,
  tokenLimit: number,
): T[][] {
  const groups = promptGroups(sequences, tokenLimit);
  const perShard = groupsPerShard(shardSequences, sequences.length / groups.length);
  return Array.from({ length: Math.ceil(groups.length / perShard) }, (_, shard) =>
    groups
      .slice(shard * perShard, (shard + 1) * perShard)
      .flat()
      .sort((a, b) => a - b)
      .map((index) => sequences[index]!),
  );
}
