/** Generation plans that are made from others: the same requests in the same shards, with other prompts or with written chains. */
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ShardedPlan } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readJson } from './inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from './plans.ts';

/**
 * @param itemsFor what stands in the place of an item of `plan`; shards that are left without any are left out
 * @param writtenFrom what the new items came from
 */
export async function publishDerivedPlan(
  { store }: ActivityDependencies,
  plan: GenerationPlan,
  itemsFor: (item: GenerationItem) => GenerationItem[],
  writtenFrom?: GenerationPlan['writtenFrom'],
): Promise<ShardedPlan> {
  const derived: GenerationPlan = { purpose: plan.purpose, ...(writtenFrom ? { writtenFrom } : {}), shards: [] };
  for (const { shard: ref } of plan.shards) {
    const shard = await readJson<GenerationShard>(store, ref);
    const items = shard.items.flatMap(itemsFor);
    if (items.length === 0) continue;
    derived.shards.push({
      shard: await store.putBytes(canonicalJson({ ...shard, items }), 'generation-shard'),
      requests: new Set(items.map(({ requestId }) => requestId)).size,
      chains: items.reduce((sum, item) => sum + (item.written === undefined ? item.seeds.length : 1), 0),
    });
  }
  return {
    plan: await store.putBytes(canonicalJson(derived), 'generation-plan'),
    shards: derived.shards.length,
    items: derived.shards.reduce((sum, { chains }) => sum + chains, 0),
  };
}
