/** Chains and pairs of a run's finished iterations, as its store has them: what `cada export dataset` writes. */
import { isMarkedId } from '../../alignment/feedback/markedChains.ts';
import { readShards } from '../../activities/collectRewards.ts';
import { generatedChains } from '../../activities/generateChains.ts';
import { readConfiguration, readJson, readLibrary, readLines } from '../../activities/inputs.ts';
import type { GenerationPlan, GradientShard, OptimisationPlan } from '../../activities/plans.ts';
import type { PreferencePlan } from '../../activities/preferencePlan.ts';
import { requestsById } from '../../activities/rewardChains.ts';
import type { ArtifactRef, IterationRecord, PolicyState, RunRecord } from '../../activities/types.ts';
import type { ChainRecord, ScoredChain } from '../../alignment/chains/chain.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import {
  isRewarded,
  preferenceRow,
  rewardPairs,
  sftRow,
  sideOf,
  type DatasetChain,
  type PairSide,
  type PreferenceRow,
  type SftRow,
} from '../../alignment/dataset/datasetRows.ts';
import type { SafetyRequest } from '../../alignment/library/library.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { badEnvironment } from '../errors.ts';

/** What a dataset is read from: the iterations that lead to where the run stands, the warm start first. */
export interface DatasetSource {
  store: ArtifactStore;
  record: RunRecord;
  line: readonly IterationRecord[];
}

/** Whether an iteration has chains with rewards: others have nothing to show. */
export const hasChains = ({ chains, rewards }: IterationRecord): boolean => chains !== null && rewards !== null;

/** The configuration that an iteration was computed by. */
export const configurationOf = ({ store, record }: DatasetSource, one: IterationRecord): Promise<Configuration> =>
  readConfiguration(store, { ...record, configuration: one.configuration ?? record.configuration });

/** @param all also the chains that were not chosen: left out by the warm start, or not rewarded in an iteration. */
export async function* sftRows(source: DatasetSource, { all }: { all: boolean }): AsyncGenerator<SftRow> {
  for (const one of source.line.filter(hasChains)) {
    const { chain: format } = await configurationOf(source, one);
    const kept = one.iteration === 0 ? await trainedOn(source.store, one) : undefined;
    const stage = { stage: kept ? ('warm start' as const) : ('iteration' as const), iteration: one.iteration };
    for (const chain of await chainsOf(source, one)) {
      const chosen = kept ? kept.has(chainId(chain.chain)) : isRewarded(chain);
      if (chosen || all) yield sftRow(chain, stage, chosen, format);
    }
  }
}

/** Pairs as an iteration has planned them (DPO), else best against worst by reward. The warm start compares nothing. */
export async function* preferenceRows(source: DatasetSource): AsyncGenerator<PreferenceRow> {
  for (const one of source.line) {
    if (one.iteration === 0 || !hasChains(one)) continue;
    const chains = await chainsOf(source, one);
    const plan = one.preferences && (await readJson<PreferencePlan>(source.store, one.preferences));
    if (plan?.method === 'dpo') yield* await plannedPairs(source, one, plan, chains);
    else yield* rewardPairs(chains, one.iteration);
  }
}

async function plannedPairs(
  source: DatasetSource,
  one: IterationRecord,
  plan: PreferencePlan & { method: 'dpo' },
  chains: readonly DatasetChain[],
): Promise<PreferenceRow[]> {
  const sampled = new Map(chains.map((chain) => [chainId(chain.chain), chain]));
  const beliefs = plan.badBeliefs ? await badBeliefTexts(source, one, plan.badBeliefs) : new Map<string, string>();
  // Marked chains that the run was given are of another sampling; a request's own id may look like theirs.
  const ofRun = (id: string): boolean => sampled.has(id) || beliefs.has(id) || !isMarkedId(id);
  const own = plan.pairs.filter(({ chosen, rejected }) => ofRun(chosen) && ofRun(rejected));
  return own.map(({ chosen, rejected }) => {
    const better = sampled.get(chosen);
    const worse = sampled.get(rejected);
    const belief = beliefs.get(rejected);
    const other: PairSide | undefined = worse
      ? sideOf(worse)
      : belief === undefined
        ? undefined
        : { text: belief, sample: null, reward: null, rightOutcome: false };
    if (!better || !other) throw missing(`a chain of the pair ${chosen} and ${rejected}`, source, one);
    return preferenceRow(better.request, { chosen: sideOf(better), rejected: other }, one.iteration, 'planned');
  });
}

/** Texts by the names that preference plans give them. The policy that wrote them is the one that the iteration started from. */
async function badBeliefTexts(
  source: DatasetSource,
  one: IterationRecord,
  planRef: ArtifactRef,
): Promise<Map<string, string>> {
  const { store } = source;
  const configuration = await configurationOf(source, one);
  const plan = await readJson<GenerationPlan>(store, planRef);
  const policy: PolicyState = {
    model: one.policy.model,
    ...(one.parent === null ? {} : { adapter: { uri: '', sha256: one.parent, bytes: 0, kind: 'adapter' } }),
  };
  const texts = new Map<string, string>();
  for (const shard of plan.shards.keys()) {
    const manifest = await generatedChains({ store }, plan, shard, policy, configuration);
    if (!manifest) throw missing('the chains under a wrong belief', source, one);
    for (const { requestId, text } of await readLines<ChainRecord>(store, manifest.outputs['chains']!))
      texts.set(`${requestId}/bad-belief`, text);
  }
  return texts;
}

/** Chains of all rounds of an iteration, in the order of their plans. */
async function chainsOf({ store, record }: DatasetSource, one: IterationRecord): Promise<DatasetChain[]> {
  const requests = requestsById(await readLibrary(store, record));
  const rounds = [{ chains: one.chains!, rewards: one.rewards! }, ...(one.refills ?? [])];
  const all: DatasetChain[] = [];
  for (const round of rounds) {
    const chains = await readShards<ChainRecord>({ store }, round.chains);
    const rewards = await readShards<ScoredChain>({ store }, round.rewards);
    for (const [index, chain] of chains.entries())
      all.push({ chain, scored: rewards[index]!, request: requests.get(chain.requestId) as SafetyRequest });
  }
  return all;
}

/** Names of the chains that the warm start has trained on. */
async function trainedOn(store: ArtifactStore, one: IterationRecord): Promise<Set<string>> {
  const names = new Set<string>();
  if (!one.updatePlan) return names;
  const { steps } = await readJson<OptimisationPlan>(store, one.updatePlan);
  for (const ref of steps.flatMap(({ shards }) => shards))
    for (const { id } of (await readJson<GradientShard>(store, ref)).sequences) names.add(id);
  return names;
}

const chainId = ({ requestId, sampleIndex }: Pick<ChainRecord, 'requestId' | 'sampleIndex'>): string =>
  `${requestId}/${sampleIndex}`;

const missing = (what: string, { store, record }: DatasetSource, { iteration }: IterationRecord) =>
  badEnvironment(
    `Run ${record.runId}, iteration ${iteration}: ${what} is not in ${store.uri}.`,
    'Was something removed from the store? `cada verify` tells what is missing; --only sft needs no pairs.',
  );
