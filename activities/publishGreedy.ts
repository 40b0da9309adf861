/** Publishes greedy generation, as evaluations ask for it, cut into shards. */
import { reasoningTurnOf } from '../alignment/chains/reasoningTurn.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import type { GenerationItem, GenerationShard } from './plans.ts';
import { publishGeneration } from './publishGeneration.ts';
import type { ShardedPlan } from './types.ts';

/** @param name of the evaluation, in the plan's purpose */
export async function publishGreedy(
  store: ArtifactStore,
  { chain, shards }: Configuration,
  name: string,
  items: readonly GenerationItem[],
): Promise<ShardedPlan> {
  const reasoning = reasoningTurnOf(chain);
  const size = shards.generationRequests;
  const cut = Array.from({ length: Math.ceil(items.length / size) }, (_, shard): GenerationShard => ({
    sampling: { temperature: 0, maxNewTokens: chain.maxNewTokens },
    ...(reasoning ? { reasoning } : {}),
    items: items.slice(shard * size, (shard + 1) * size),
  }));
  return publishGeneration(store, { purpose: { kind: 'evaluation', name, set: 'full' } }, cut);
}
