/** Lists what the shards of a plan have generated, in plan order, and sums up their figures. */
import type { ArtifactRef, Figures, PolicyState, RunContext } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { generatedChains } from './generateChains.ts';
import { readConfiguration, readJson } from './inputs.ts';
import type { GenerationPlan, ShardList } from './plans.ts';
import { ApplicationFailure } from '@temporalio/activity';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';

export interface ChainsOutcome {
  artifact: ArtifactRef;
  scoringShards: number;
  figures: Figures;
}

export async function collectChains(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { plan: ArtifactRef; policy: PolicyState },
): Promise<ChainsOutcome> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<GenerationPlan>(store, input.plan);
  const list: ShardList = { plan: input.plan.sha256, shards: [] };
  let tokens = 0;
  let cut = 0;
  let rows = 0;
  for (const index of plan.shards.keys()) {
    const manifest = await generatedChains(dependencies, plan, index, input.policy, configuration);
    if (!manifest) {
      throw ApplicationFailure.retryable(
        `the chains of shard ${index} are not in the store ${store.uri}: was an artifact removed?`,
        'ShardMissing',
      );
    }
    const figures = manifest.figures as { chains: number; tokens: number; cut: number };
    list.shards.push({ artifact: manifest.outputs['chains']!, rows: figures.chains });
    tokens += figures.tokens;
    cut += figures.cut;
    rows += figures.chains;
  }
  return {
    artifact: await store.putBytes(canonicalJson(list), 'chain-list'),
    scoringShards: list.shards.length,
    figures: {
      num_chains: rows,
      num_tokens: tokens,
      'completions/mean_length': tokens / rows,
      'completions/clipped_ratio': cut / rows,
    },
  };
}
