/** Faithfulness of a policy: what is asked, which analyses are handed over, what it comes to. Chains and verdicts come from the stages that all evaluations share. */
import { analysisPrefix } from '../alignment/chains/analysisPrefix.ts';
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { pairsOf } from '../alignment/configuration/faithfulness.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { contrastPairs, type ContrastPair } from '../alignment/evaluation/contrastPairs.ts';
import {
  faithfulnessFigures,
  outcomeOfVerdict,
  type FaithfulnessFigures,
  type Outcome,
  type SplicedPair,
  type SplicedRequest,
} from '../alignment/evaluation/faithfulness.ts';
import { rawPrompt } from '../alignment/prompts/guidedPrompt.ts';
import type { SafetyRequest } from '../alignment/library/library.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, RunContext, ShardedPlan, StageOutcome } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readLibrary } from './inputs.ts';
import type { GenerationItem } from './plans.ts';
import { publishGreedy } from './publishGreedy.ts';

export interface ScoredChains {
  chains: ArtifactRef;
  rewards: ArtifactRef;
}

/** The result: figures, and every pair's outcomes that they come from. */
export interface FaithfulnessArtifact {
  /** Who told refusals. */
  judge: string;
  figures: FaithfulnessFigures;
  pairs: SplicedPair[];
  /** Chain and reward lists; `spliced` is absent where there was no analysis to hand over. */
  own: ScoredChains;
  spliced?: ScoredChains;
}

/** The policy's own greedy chains for both requests of every pair, raw prompt. */
export async function planContrastPairs(dependencies: ActivityDependencies, run: RunContext): Promise<ShardedPlan> {
  const { configuration, pairs } = await readPairs(dependencies, run);
  const items = pairs.flatMap(({ harmful, lookAlike }) => [rawItem(harmful), rawItem(lookAlike)]);
  return publishGreedy(dependencies.store, configuration, 'faithfulness', items);
}

/** Sample 0 of a request goes on behind its own analysis, sample 1 behind that of the other request. */
const [behindOwn, behindOther] = [0, 1];

/** Every request of a pair behind its own analysis and behind the other's; a pair with a chain that has no analysis is left out. */
export async function planSplices(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { chains: ArtifactRef },
): Promise<ShardedPlan> {
  const { configuration, pairs } = await readPairs(dependencies, run);
  const prefixes = await prefixesOf(dependencies, configuration, input.chains);
  const items = pairs.flatMap(({ harmful, lookAlike }) => {
    const [ofHarmful, ofLookAlike] = [prefixes.get(harmful.id), prefixes.get(lookAlike.id)];
    if (ofHarmful === undefined || ofLookAlike === undefined) return [];
    return [
      { ...rawItem(harmful, behindOwn), begun: ofHarmful },
      { ...rawItem(harmful, behindOther), begun: ofLookAlike },
      { ...rawItem(lookAlike, behindOwn), begun: ofLookAlike },
      { ...rawItem(lookAlike, behindOther), begun: ofHarmful },
    ];
  });
  return publishGreedy(dependencies.store, configuration, 'faithfulness', items);
}

export async function summariseFaithfulness(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { own: ScoredChains; spliced?: ScoredChains },
): Promise<StageOutcome> {
  const { configuration, pairs } = await readPairs(dependencies, run);
  const prefixes = await prefixesOf(dependencies, configuration, input.own.chains);
  const own = await outcomesOf(dependencies, input.own.rewards);
  const spliced = input.spliced ? await outcomesOf(dependencies, input.spliced.rewards) : new Map<string, Outcome>();
  const side = ({ id }: SafetyRequest): SplicedRequest => ({
    requestId: id,
    own: own.get(`${id}#0`) ?? null,
    control: spliced.get(`${id}#${behindOwn}`) ?? null,
    swapped: spliced.get(`${id}#${behindOther}`) ?? null,
  });
  const result = pairs.map(({ harmful, lookAlike }): SplicedPair => ({
    hazard: harmful.category,
    harmful: side(harmful),
    lookAlike: side(lookAlike),
    formed: prefixes.has(harmful.id) && prefixes.has(lookAlike.id),
  }));
  const figures = faithfulnessFigures(result, {
    bootstrapSamples: configuration.evaluation.bootstrapSamples,
    seed: String(configuration.seed),
  });
  const artifact: FaithfulnessArtifact = { judge: 'library rules', figures, pairs: result, ...input };
  return {
    artifact: await dependencies.store.putBytes(canonicalJson(artifact), 'faithfulness'),
    figures: toldFaithfulness(figures),
  };
}

/** What progress, card and status show; the artifact has the rest, with intervals. */
export function toldFaithfulness({ followed, control, differing }: FaithfulnessFigures): Figures {
  return {
    'faithfulness/pairs': differing,
    ...(followed ? { 'faithfulness/followed': followed.value } : {}),
    ...(control ? { 'faithfulness/control': control.value } : {}),
  };
}

async function readPairs(
  { store }: ActivityDependencies,
  run: RunContext,
): Promise<{ configuration: Configuration; pairs: ContrastPair[] }> {
  const configuration = await readConfiguration(store, run);
  const { split, faithfulness } = configuration.evaluation;
  const library = await readLibrary(store, run);
  if (!faithfulness) throw new Error('evaluation.faithfulness is not set: nothing says how many pairs are wanted');
  const pairs = contrastPairs(
    library.requests[split],
    pairsOf(faithfulness),
    String(configuration.seed),
    `requests/${split}.jsonl`,
  );
  return { configuration, pairs };
}

/** What each request's own chain begins with, up to its final response. */
async function prefixesOf(
  dependencies: ActivityDependencies,
  { chain }: Configuration,
  chains: ArtifactRef,
): Promise<Map<string, string>> {
  const records = await readShards<ChainRecord>(dependencies, chains);
  return new Map(
    records.flatMap(({ requestId, text }): [string, string][] => {
      const prefix = analysisPrefix(text, chain);
      return prefix === undefined ? [] : [[requestId, prefix]];
    }),
  );
}

async function outcomesOf(dependencies: ActivityDependencies, rewards: ArtifactRef): Promise<Map<string, Outcome>> {
  const scored = await readShards<ScoredChain>(dependencies, rewards);
  return new Map(
    scored.map(({ requestId, sampleIndex, verdict }) => [`${requestId}#${sampleIndex}`, outcomeOfVerdict(verdict)]),
  );
}

function rawItem(request: SafetyRequest, firstSample = 0): GenerationItem {
  const { messages, sharedMessages } = rawPrompt(request);
  return {
    ...{ requestId: request.id, rawMessages: messages, guidance: 'raw', caseIds: [] },
    ...{ messages, sharedMessages, firstSample, seeds: [''] },
  };
}
