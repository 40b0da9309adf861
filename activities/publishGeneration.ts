/** Publishes generation that is cut into shards: the shards, and the plan that names them. */
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { GenerationPlan, GenerationShard } from './plans.ts';
import type { ShardedPlan } from './types.ts';

/** @param requestsIn how many requests a shard counts as */
export async function publishGeneration(
  store: ArtifactStore,
  about: Omit<GenerationPlan, 'shards'>,
  shards: readonly GenerationShard[],
  requestsIn = ({ items }: GenerationShard): number => items.length,
): Promise<ShardedPlan> {
  const plan: GenerationPlan = { ...about, shards: [] };
  for (const shard of shards) {
    plan.shards.push({
      shard: await store.putBytes(canonicalJson(shard), 'generation-shard'),
      requests: requestsIn(shard),
      chains: shard.items.reduce((sum, item) => sum + (item.written === undefined ? item.seeds.length : 1), 0),
    });
  }
  return {
    plan: await store.putBytes(canonicalJson(plan), 'generation-plan'),
    shards: plan.shards.length,
    items: plan.shards.reduce((sum, { chains }) => sum + chains, 0),
  };
}
