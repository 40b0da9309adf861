/** Chooses from the rewarded chains of an iteration what is preferred to what, and cuts the sequences whose log-probabilities the loss needs into shards. */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { methodOf, preferenceSettings } from '../alignment/configuration/arms.ts';
import { bestAgainstWorst, labelChains, mismatchedChains } from '../alignment/preferences/choosePreferences.ts';
import {
  contradictsMark,
  desirableByMark,
  isRight,
  markedId,
  markedPairs,
  verdictsByText,
  type MarkedChain,
} from '../alignment/feedback/markedChains.ts';
import { againstBadBeliefs } from '../alignment/preferences/badBeliefs.ts';
import { tokenLimitFor } from '../engine/train/planMicroBatches.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardedPlan } from './types.ts';
import { badBeliefChains } from './badBeliefs.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { DecisionArtifact } from './chooseMethod.ts';
import { readConfiguration, readJson, readLibrary } from './inputs.ts';
import { markedChains } from './markedChains.ts';
import { refuseUnscorable } from './planUpdate.ts';
import { gatherPrompts, type PreferencePlan, type PreferenceSequence, type PreferenceShard } from './preferencePlan.ts';
import { shardsOf } from './publishPlan.ts';

export interface PreferencesInput {
  /** 1 for the first. */
  iteration: number;
  chains: ArtifactRef;
  rewards: ArtifactRef;
  /** Of a validator, about the policy that the iteration starts from. */
  decision?: ArtifactRef;
  /** Plan of chains that `policy` has written under a wrong belief. */
  badBeliefs?: { plan: ArtifactRef; policy: PolicyState };
}

export async function planPreferences(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: PreferencesInput,
): Promise<ShardedPlan> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const chains = await readShards<ChainRecord>(dependencies, input.chains);
  const rewards = await readShards<ScoredChain>(dependencies, input.rewards);
  refuseUnscorable(rewards, configuration.iteration.maxUnscorable);

  const sequences = new Map<string, PreferenceSequence>();
  const nameOf = (prompt: number, completion = prompt): string => {
    const id =
      prompt === completion ? chainId(chains[prompt]!) : `${chainId(chains[prompt]!)} ${chainId(chains[completion]!)}`;
    const [{ promptTokens }, { tokens }] = [chains[prompt]!, chains[completion]!];
    sequences.set(id, { id, promptTokens, completionTokens: tokens });
    return id;
  };
  const { badBelief } = configuration.iteration.preference ?? {};
  const beliefs = input.badBeliefs
    ? await badBeliefChains(dependencies, configuration, await readLibrary(store, run), input.badBeliefs)
    : [];
  // Named for the rejected side alone: no other place of this function may call it.
  const rejectBelief = (index: number): string => {
    const { requestId, promptTokens, tokens } = beliefs[index]!;
    const id = `${requestId}/bad-belief`;
    sequences.set(id, { id, promptTokens, completionTokens: tokens });
    return id;
  };
  const marked = await markedChains(dependencies, run, configuration.iteration.marks);
  const verdict = verdictsByText(marked);
  const nameMarked = (chain: MarkedChain): string => {
    const id = markedId(chain);
    sequences.set(id, { id, promptTokens: chain.promptTokens, completionTokens: chain.tokens });
    return id;
  };
  const method = input.decision
    ? (await readJson<DecisionArtifact>(store, input.decision)).next
    : methodOf(configuration.iteration.method!, input.iteration);
  const settings = preferenceSettings(configuration.iteration.preference);
  const preferences =
    method === 'dpo'
      ? {
          method: 'dpo' as const,
          pairs: [
            ...(badBelief === 'instead' ? [] : bestAgainstWorst(rewards))
              .filter(({ chosen, rejected }) => !contradictsMark(verdict, chains[chosen]!, chains[rejected]!))
              .map(({ chosen, rejected }) => ({ chosen: nameOf(chosen), rejected: nameOf(rejected) })),
            ...againstBadBeliefs(rewards, beliefs).map(({ chosen, belief }) => ({
              chosen: nameOf(chosen),
              rejected: rejectBelief(belief),
            })),
            ...markedPairs(marked).map(({ chosen, rejected }) => ({
              chosen: nameMarked(chosen),
              rejected: nameMarked(rejected),
            })),
          ],
        }
      : {
          method: 'kto' as const,
          labelled: [
            ...labelChains(rewards, settings.threshold)
              .map(({ index, desirable }) => ({
                index,
                desirable: desirableByMark(verdict, chains[index]!) ?? desirable,
              }))
              .filter(({ desirable }) => desirable || badBelief !== 'instead')
              .map(({ index, desirable }) => ({ id: nameOf(index), desirable })),
            ...beliefs.map((_, belief) => ({ id: rejectBelief(belief), desirable: false })),
            ...marked.map((chain) => ({ id: nameMarked(chain), desirable: isRight(chain) })),
          ],
          mismatched:
            settings.ktoLoss === 'kto'
              ? mismatchedChains(rewards).map(({ prompt, completion }) => nameOf(prompt, completion))
              : [],
        };

  const plan: PreferencePlan = {
    ...preferences,
    ...(input.badBeliefs ? { badBeliefs: input.badBeliefs.plan } : {}),
    shards: [],
  };
  const { trained, shards, engine } = configuration;
  const all = gatherPrompts([...sequences.values()]);
  const tokenLimit = tokenLimitFor(trained === 'all', engine.microBatchTokens);
  for (const own of shardsOf(all, shards.gradientSequences, tokenLimit)) {
    const shard: PreferenceShard = { sequences: own };
    plan.shards.push(await store.putBytes(canonicalJson(shard), 'preference-shard'));
  }
  return {
    plan: await store.putBytes(canonicalJson(plan), 'preference-plan'),
    shards: plan.shards.length,
    items: all.length,
  };
}

const chainId = ({ requestId, sampleIndex }: Pick<ChainRecord, 'requestId' | 'sampleIndex'>): string =>
  `${requestId}/${sampleIndex}`;
