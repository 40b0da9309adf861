/** Publishes greedy generation, as evaluations ask for it, cut into shards. */
import { reasoningTurnOf } from '../alignment/chains/reasoningTurn.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from './plans.ts';
import type { ShardedPlan } from './types.ts';

/** @param name of the evaluation, in the plan's purpose */
export async function publishGreedy(
  store: ArtifactStore,
  { chain, shards }: Configuration,
  name: string,
  items: readonly GenerationItem[],
): Promise<ShardedPlan> {
  const reasoning = reasoningTurnOf(chain);
  const plan: GenerationPlan = { purpose: { kind: 'evaluation', name, set: 'full' }, shards: [] };
  for (let start = 0; start < items.length; start += shards.generationRequests) {
    const shard: GenerationShard = {
      sampling: { temperature: 0, maxNewTokens: chain.maxNewTokens },
      ...(reasoning ? { reasoning } : {}),
      items: items.slice(start, start + shards.generationRequests),
    };
    const { length } = shard.items;
    const ref = await store.putBytes(canonicalJson(shard), 'generation-shard');
    plan.shards.push({ shard: ref, requests: length, chains: length });
  }
  return {
    plan: await store.putBytes(canonicalJson(plan), 'generation-plan'),
    shards: plan.shards.length,
    items: items.length,
  };
}
