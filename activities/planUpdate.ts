/** Plans the RL step of an iteration: advantages within each group, token weights over the whole batch, and what the objective needs of each chain. */
import { computeAdvantages } from '../alignment/advantages/advantages.ts';
import { tokenWeights } from '../alignment/advantages/tokenWeights.ts';
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { countOfKind } from '../alignment/library/library.ts';
import type { RequestKind } from '../alignment/library/library.ts';
import { overlongRamp } from '../alignment/rewards/overlongReward.ts';
import { scheduledLearningRate } from '../alignment/schedules.ts';
import type { TrainingSequence } from '../engine/policy.ts';
import type { ArtifactRef, MissingGroups, RunContext, UpdatePlan } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readLibrary } from './inputs.ts';
import { iterationObjective } from './iterationObjective.ts';
import { publishPlan } from './publishPlan.ts';
import { operatorFailure } from './stage.ts';

export async function planUpdate(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: {
    iteration: number;
    chains: ArtifactRef;
    rewards: ArtifactRef;
    /** Rounds drawn in place of groups without signal. */
    refills?: { chains: ArtifactRef; rewards: ArtifactRef }[];
  },
): Promise<UpdatePlan> {
  const configuration = await readConfiguration(dependencies.store, run);
  const { iteration, chain: chainSettings } = configuration;
  const rounds = [{ chains: input.chains, rewards: input.rewards }, ...(input.refills ?? [])];
  const chains: ChainRecord[] = [];
  const rewards: ScoredChain[] = [];
  for (const round of rounds) {
    chains.push(...(await readShards<ChainRecord>(dependencies, round.chains)));
    rewards.push(...(await readShards<ScoredChain>(dependencies, round.rewards)));
  }

  refuseUnscorable(rewards, iteration.maxUnscorable);

  const groups = groupIndices(chains);
  const { advantages, groups: statistics } = computeAdvantages(
    groups.map((group) => group.map((index) => shapedReward(chains[index]!, rewards[index]!.reward, configuration))),
    iteration.advantage,
    { tokens: groups.map((group) => group.map((index) => chains[index]!.tokens.length)) },
  );
  const advantageOf = new Map(
    groups.flatMap((group, g) => group.map((index, position) => [index, advantages[g]![position]!] as const)),
  );
  const uniform = new Set(groups.filter((_group, g) => !statistics[g]!.signal).flat());
  const counted = (chain: ChainRecord, index: number) =>
    rewards[index]!.reward !== null &&
    !(iteration.skipUniform && uniform.has(index)) &&
    !(iteration.overlongFilter && chain.finishReason === 'length');
  const weights = tokenWeights(
    chains.map((chain, index) => ({ tokens: chain.tokens.length, counted: counted(chain, index) })),
    iteration.aggregation,
    chainSettings.maxNewTokens,
  );

  const objective = iterationObjective(iteration);
  const order = groups.flat();
  // Without a KL term or an entropy bonus a chain without advantage has no gradient at all: it is not computed.
  const pulled = iteration.klWeight > 0 || iteration.entropyWeight > 0;
  const teaching = order.filter((index) => weights[index] !== 0 && (advantageOf.get(index) !== 0 || pulled));
  const sequences = teaching.map((index): TrainingSequence => {
    const chain = chains[index]!;
    return {
      id: `${chain.requestId}/${chain.sampleIndex}`,
      promptTokens: chain.promptTokens,
      completionTokens: chain.tokens,
      weight: weights[index]!,
      advantage: advantageOf.get(index)!,
      // With one optimizer step a batch the old log-probs of raw chains are the current ones; guided chains, and those of rounded weights, have
      // another distribution behind them.
      ...(chain.guidance === 'cases' || iteration.generationWeights ? { behaviourLogProbs: chain.logProbs } : {}),
    };
  });
  const missing =
    iteration.skipUniform && rounds.length <= (iteration.refillRounds ?? 0)
      ? await missingGroups(
          dependencies,
          run,
          iteration.requests,
          groups.filter((_group, g) => statistics[g]!.signal).map(([first]) => chains[first!]!.requestId),
        )
      : undefined;
  const figures = {
    ...(rounds.length > 1 ? { refill_rounds: rounds.length - 1 } : {}),
    reward_std: mean(statistics.flatMap((group) => group.std ?? [])),
    frac_reward_zero_std: mean(statistics.map((group) => ((group.std ?? 0) > 0 ? 0 : 1))),
    advantage_abs_mean: mean(order.map((index) => Math.abs(advantageOf.get(index)!))),
  };
  const steps =
    sequences.length === 0
      ? []
      : [
          {
            objective,
            sequences,
            settings: iteration,
            learningRate: scheduledLearningRate(iteration, input.iteration, iteration.count),
          },
        ];
  const plan = await publishPlan(dependencies.store, 'iteration', steps, configuration, figures);
  return missing ? { ...plan, missing } : plan;
}

/** @throws ApplicationFailure for the operator where more than this share of the chains has no reward. */
export function refuseUnscorable(rewards: readonly ScoredChain[], maxUnscorable: number): void {
  const unscorable = rewards.filter((row) => row.reward === null).length;
  if (unscorable <= maxUnscorable * rewards.length) return;
  throw operatorFailure(
    'TooManyUnscorable',
    `${unscorable} of ${rewards.length} chains got no reward (${rewards.find((row) => row.unscorable)?.unscorable}); iteration.maxUnscorable allows ${maxUnscorable}`,
  );
}

/** By kind, how many groups fewer than wanted have signal; undefined where none is missing. */
async function missingGroups(
  { store }: ActivityDependencies,
  run: RunContext,
  wanted: Configuration['iteration']['requests'],
  withSignal: readonly string[],
): Promise<MissingGroups | undefined> {
  const { training } = (await readLibrary(store, run)).requests;
  const kindOf = new Map(training.map(({ id, kind }) => [id, kind]));
  const missing = (kind: RequestKind): number =>
    Math.max(0, countOfKind(wanted, kind) - withSignal.filter((id) => kindOf.get(id) === kind).length);
  const counts = { harmful: missing('harmful'), plain: missing('plain'), lookAlike: missing('look-alike') };
  return Object.values(counts).some((count) => count > 0) ? counts : undefined;
}

/** The reward with the soft penalty for length, which cut chains have in full already. */
function shapedReward(chain: ChainRecord, reward: number | null, configuration: Configuration): number | null {
  const { iteration, rewards, chain: limits } = configuration;
  if (reward === null || !(iteration.overlongBuffer > 0) || chain.finishReason === 'length') return reward;
  return reward + rewards.overlong * overlongRamp(chain.tokens.length, limits.maxNewTokens, iteration.overlongBuffer);
}

/** Rows of one request, in order of first appearance; samples in order within. */
function groupIndices(chains: readonly ChainRecord[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, chain] of chains.entries()) {
    const group = groups.get(chain.requestId);
    if (group) group.push(index);
    else groups.set(chain.requestId, [index]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => chains[a]!.sampleIndex - chains[b]!.sampleIndex));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
