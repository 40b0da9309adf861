/** Lists the rewards of all shards, in plan order, and sums them up under the names that users of TRL know. */
import { ApplicationFailure } from '@temporalio/activity';
import type { ScoredChain } from '../alignment/chains/chain.ts';
import { chainFigures } from '../alignment/evaluation/figures.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, RunContext, StageOutcome } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson, readLibrary, readLines } from './inputs.ts';
import { addJudgeUse } from './judgePool.ts';
import type { ShardList } from './plans.ts';
import { scoredChains } from './rewardChains.ts';

export async function collectRewards(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { chains: ArtifactRef },
): Promise<StageOutcome> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const library = await readLibrary(store, run);
  const chains = await readJson<ShardList>(store, input.chains);
  const list: ShardList = { plan: chains.plan, shards: [] };
  const scored: ScoredChain[] = [];
  const judgeUse: Figures = {};
  for (const { artifact } of chains.shards) {
    const manifest = await scoredChains(dependencies, run, artifact, configuration, library);
    if (!manifest)
      throw ApplicationFailure.retryable(
        `rewards of ${artifact.uri} are not in the store: was an artifact removed?`,
        'ShardMissing',
      );
    const rewards = manifest.outputs['rewards']!;
    const rows = await readLines<ScoredChain>(store, rewards);
    list.shards.push({ artifact: rewards, rows: rows.length });
    scored.push(...rows);
    addJudgeUse(judgeUse, manifest.figures);
  }
  return {
    artifact: await store.putBytes(canonicalJson(list), 'reward-list'),
    figures: { ...rewardFigures(scored), ...judgeUse },
  };
}

function rewardFigures(scored: readonly ScoredChain[]): Figures {
  const figures = chainFigures(scored);
  return {
    unscorable: figures.unscorable,
    ...(figures.meanReward === null ? {} : { reward: figures.meanReward }),
    ...Object.fromEntries(Object.entries(figures.meanParts).map(([part, mean]) => [`rewards/${part}/mean`, mean])),
  };
}

/** All rows of a shard list, in plan order. */
export async function readShards<T>({ store }: Pick<ActivityDependencies, 'store'>, list: ArtifactRef): Promise<T[]> {
  const { shards } = await readJson<ShardList>(store, list);
  const rows: T[] = [];
  for (const { artifact } of shards) rows.push(...(await readLines<T>(store, artifact)));
  return rows;
}
