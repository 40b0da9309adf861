/** Generation plans that are made from others: the same requests in the same shards, with other prompts or with written chains. */
import type { ShardedPlan } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readJson } from './inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from './plans.ts';
import { publishGeneration } from './publishGeneration.ts';

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
  const shards: GenerationShard[] = [];
  for (const { shard: ref } of plan.shards) {
    const shard = await readJson<GenerationShard>(store, ref);
    const items = shard.items.flatMap(itemsFor);
    if (items.length > 0) shards.push({ ...shard, items });
  }
  const about = { purpose: plan.purpose, ...(writtenFrom ? { writtenFrom } : {}) };
  return publishGeneration(store, about, shards, ({ items }) => new Set(items.map(({ requestId }) => requestId)).size);
}
