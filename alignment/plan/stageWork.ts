/** The work of each kind of stage: chains, tokens, seconds, bytes and requests of the store, actions on the Temporal server, judge calls. */
import { benchmarkSizes } from '../benchmarks/benchmarkNames.ts';
import { usesEmbeddings } from '../configuration/caseSampling.ts';
import { pairsOf } from '../configuration/faithfulness.ts';
import { asksGuardModel, asksRubricJudge } from '../configuration/optionalRewards.ts';
import type { Configuration, RequestCounts } from '../configuration/schema.ts';
import { validatorJudge, validatorSettings } from '../configuration/validator.ts';
import { groupsPerShard } from './groupsPerShard.ts';
import { measuredRates } from './measuredRates.ts';
import type { Work } from './plannedStage.ts';

/** Work that takes next to no time. */
export const activities = (work: Omit<Work, 'seconds'>): Work => ({ ...work, seconds: 0 });

/** Its start counts once for the parent and once for itself; the run's record is saved before each stage. */
export const childWorkflow = activities({ temporalActions: 3, storeRequests: 3 });

/**
 * Requests of one activity, as counted in runs of the demo's shape on S3 and in a folder: its manifest is looked for, what it reads is fetched, an object
 * is put, the manifest is put.
 */
const requestsPerShard = 5;
const requestsPerGradient = 6;
const requestsPerUpdate = 12;
/** Looks its shards up, one request each beside these. */
const requestsPerCollection = 4;
const requestsPerPlan = 8;

/** Each call of the engine sends one at once, and further ones while it lasts. */
const heartbeats = (engineCalls: number, seconds: number): number =>
  engineCalls + Math.round(seconds / measuredRates.secondsBetweenHeartbeats);

/**
 * Every chain for a harmful request is graded when it is rewarded, in a warm start, an iteration or an evaluation; a guard model reads those responses, or
 * all of them, as fast as a model of the default one's size.
 */
export function grading(configuration: Configuration, shards: number, chains: { harmful: number; all: number }): Work {
  const { judge, guardModel, chain, evaluation } = configuration;
  // The analyses of refusals are further responses to be graded: at most all.
  const votes = (judge && asksRubricJudge(configuration) ? (judge.votes ?? 1) : 0) * (evaluation.leaks ? 2 : 1);
  const asked = activities({ judgeCalls: chains.harmful * votes, temporalActions: votes > 0 ? shards : 0 });
  if (!guardModel || !asksGuardModel(configuration)) return asked;
  const read = guardModel.requests === 'all' ? chains.all : chains.harmful;
  const rates = measuredRates;
  const tokens =
    read * (rates.rawPromptTokens + chain.maxNewTokens * rates.shareOfLongestChain) + rates.guardPromptTokens;
  const seconds = rates.stageSeconds + tokens / rates.promptTokensPerSecond;
  return {
    ...asked,
    seconds,
    storeRequests: shards * (requestsPerShard + 1),
    temporalActions: (asked.temporalActions ?? 0) + shards + heartbeats(shards, seconds),
  };
}

/** A validator answers and judges its split after each cycle, and once before the first. */
export function validation(configuration: Configuration): Work[] {
  const { iteration, shards, chain } = configuration;
  const judge = iteration.method === 'iterative' ? validatorJudge(iteration.preference) : undefined;
  if (!judge) return [];
  const requests = total(validatorSettings(iteration.preference).requests);
  const shardCount = Math.ceil(requests / shards.generationRequests);
  const judgedTokens = judge === 'self' ? 2 * requests * (measuredRates.selfQuestionTokens + chain.maxNewTokens) : 0;
  const seconds = judgedTokens / measuredRates.forwardTokensPerSecond;
  const once: Work[] = [
    generation(configuration, requests, 'raw'),
    // The decision itself.
    activities({ temporalActions: 1, storeRequests: 6 }),
    judge === 'rules'
      ? activities({})
      : {
          seconds,
          judgeCalls: judge === 'endpoint' ? requests : 0,
          temporalActions: shardCount + (judge === 'self' ? heartbeats(shardCount, seconds) : 0),
          storeRequests: shardCount * (requestsPerShard + 1),
        },
  ];
  const times = (iteration.count + 1) / iteration.count;
  return once.map(
    (work) => Object.fromEntries(Object.entries(work).map(([name, value]) => [name, value * times])) as Work,
  );
}

/** One chain of each request under a wrong belief, where preferences reject such. */
export function badBeliefs(configuration: Configuration): Work {
  const { method, preference, requests } = configuration.iteration;
  if (!method || !preference?.badBelief) return { seconds: 0 };
  const drawn = generation(configuration, total(requests), 'cases');
  // They are neither collected nor rewarded; what is planned is their prompts.
  return { ...drawn, temporalActions: Math.ceil(total(requests) / configuration.shards.generationRequests) + 1 };
}

export function generation(
  { chain, shards, cases }: Configuration,
  chains: number,
  guidance: Configuration['iteration']['guidance'],
  samplesPerRequest = 1,
): Work {
  if (chains === 0) return { seconds: 0 };
  const rates = measuredRates;
  const share = { raw: 0, mixed: 0.5, cases: 1 }[guidance];
  const guided = chains * share;
  // Cases of each request's own share nothing with those of others.
  const ownCases = cases.sampling === 'similarity' || cases.order !== undefined;
  const prefixes = ownCases
    ? guided / samplesPerRequest
    : Math.min(guided, rates.categories * rates.prefixesPerCategory);
  const promptTokens =
    (chains - guided) * rates.rawPromptTokens + guided * rates.guidedOwnTokens + prefixes * rates.guidedPromptTokens;
  const length = chain.maxNewTokens * rates.shareOfLongestChain;
  const seconds =
    rates.stageSeconds +
    promptTokens / rates.promptTokensPerSecond +
    ((chains - guided) * length) / rates.generatedTokensPerSecond +
    (guided * length) / rates.guidedTokensPerSecond;
  const shardCount = Math.ceil(chains / samplesPerRequest / shards.generationRequests);
  return {
    chains,
    generatedTokens: chains * chain.maxNewTokens,
    seconds,
    storeBytes: chains * length * rates.bytesPerToken + promptTokens * 8,
    // Choice of requests, each shard generated and rewarded, both collected.
    storeRequests: requestsPerShard + 2 * requestsPerCollection + 2 * shardCount * (requestsPerShard + 1),
    temporalActions: 3 + 2 * shardCount + heartbeats(shardCount, seconds),
  };
}

/** Vectors of cases and requests, before cases can be chosen by them: a forward over each text, and a graph of its own to be compiled. */
export function embedding(
  { cases }: Configuration,
  requests: number,
  guidance: Configuration['iteration']['guidance'],
  planned: 'first' | 'further',
): Work {
  if (!usesEmbeddings(cases) || guidance === 'raw') return { seconds: 0 };
  const rates = measuredRates;
  const texts = requests + (planned === 'first' ? rates.contrastPairs : 0);
  return {
    seconds: rates.stageSeconds + (texts * rates.embeddedTokens) / rates.forwardTokensPerSecond,
    // The shards of cases and of requests, and the plan asked for once more.
    storeRequests: 2 * requestsPerShard + requestsPerPlan,
    temporalActions: 3 + heartbeats(2, 0),
  };
}

/** @param samples sequences of a prompt, computed together */
export function training(
  configuration: Configuration,
  { sequences, samples, steps, referenced }: { sequences: number; samples: number; steps: number; referenced: boolean },
): Work {
  const { chain, shards } = configuration;
  const rates = measuredRates;
  const completions = sequences * chain.maxNewTokens * rates.shareOfLongestChain;
  const tokens = sequences * rates.rawPromptTokens + completions;
  const computed = (sequences / samples) * rates.rawPromptTokens + completions;
  const seconds =
    rates.stageSeconds +
    computed / rates.trainedTokensPerSecond +
    (referenced ? computed / rates.forwardTokensPerSecond : 0);
  const groups = groupsPerShard(shards.gradientSequences, samples);
  const shardCount = steps * Math.ceil(sequences / Math.max(steps, 1) / (groups * samples));
  return {
    trainedTokens: Math.round(tokens),
    seconds,
    // A gradient a shard, adapter and its two moments a step: all as large as the adapter.
    storeBytes: (shardCount + 3 * steps) * adapterBytes(configuration) + tokens * rates.bytesPerToken,
    storeRequests: requestsPerPlan + shardCount * requestsPerGradient + steps * requestsPerUpdate,
    temporalActions: 1 + shardCount + steps + heartbeats(shardCount + steps, seconds),
  };
}

export function evaluated({ requests, benchmarks }: Configuration['evaluation']): number {
  return total(requests) + benchmarks.reduce((sum, name) => sum + benchmarkSizes[name], 0);
}

/** Six chains a pair: each request's own, behind its own analysis and behind the other's. */
export function faithfulness(configuration: Configuration): Work[] {
  const settings = configuration.evaluation.faithfulness;
  if (!settings) return [];
  const pairs = pairsOf(settings);
  const shardsOf = (chains: number): number => Math.ceil(chains / configuration.shards.generationRequests);
  return [2 * pairs, 4 * pairs].flatMap((chains) => [
    generation(configuration, chains, 'raw'),
    grading(configuration, shardsOf(chains), { harmful: chains / 2, all: chains }),
  ]);
}

/** A forward over the untouched model's answers to harmless requests, which mostly end at the limit. */
export function utility({ evaluation, chain }: Configuration): Work {
  const { plain, lookAlike } = evaluation.requests;
  const tokens = (plain + lookAlike) * (measuredRates.rawPromptTokens + chain.maxNewTokens);
  return {
    seconds: tokens / measuredRates.forwardTokensPerSecond,
    storeRequests: 2 * requestsPerShard,
    temporalActions: 1 + heartbeats(1, 0),
  };
}

/** What is trained of the default model: all 135 million weights, or LoRA on projections of its shape: 30 layers, hidden 576, 192 for keys and values, 1536 in the MLP. */
export function adapterBytes({ lora, trained }: Configuration): number {
  if (trained === 'all') return 134_515_008 * 4;
  const inPlusOut = {
    q_proj: 1152,
    k_proj: 768,
    v_proj: 768,
    o_proj: 1152,
    gate_proj: 2112,
    up_proj: 2112,
    down_proj: 2112,
  };
  return lora.targets.reduce((sum, target) => sum + inPlusOut[target], 0) * lora.rank * 30 * 4;
}

export const total = ({ harmful, plain, lookAlike }: RequestCounts): number => harmful + plain + lookAlike;
