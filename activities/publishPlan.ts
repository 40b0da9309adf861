/** Publishes the optimizer steps of a plan, each cut into shards of 2^k sequences: aligned subtrees of the sum, so that the cut can't change bits. */
import type { Objective, TrainingSequence } from '../engine/policy.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { Figures, UpdatePlan } from './types.ts';
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
  shardSequences: number,
  figures: Figures,
): Promise<UpdatePlan> {
  const plan: OptimisationPlan = { kind, steps: [], figures };
  for (const { objective, learningRate, settings, sequences } of steps) {
    const shards = [];
    for (let start = 0; start < sequences.length; start += shardSequences) {
      const shard: GradientShard = { objective, sequences: sequences.slice(start, start + shardSequences) };
      shards.push(await store.putBytes(canonicalJson(shard), 'gradient-shard'));
    }
    const { weightDecay, maxGradNorm } = settings;
    plan.steps.push({
      shards,
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
