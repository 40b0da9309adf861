/**
 * Filters the self-generated chains (format and outcome) and plans the supervised steps on raw request -> chain. Codes, cases and instruction are
 * gone by construction: a chain record carries the prompt of the raw request only.
 */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { sftTokenWeights } from '../alignment/advantages/tokenWeights.ts';
import { markedId, selectByMarks } from '../alignment/feedback/markedChains.ts';
import { filterWarmStart } from '../alignment/filters/warmStartFilter.ts';
import { scheduledLearningRate } from '../alignment/schedules.ts';
import { deriveSeed, shuffled } from '../infra/artifacts/seeds.ts';
import type { ArtifactRef, RunContext, UpdatePlan } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readLibrary } from './inputs.ts';
import { markedChains } from './markedChains.ts';
import { publishPlan, type PlannedStep } from './publishPlan.ts';
import { requestsById } from '../alignment/library/requestsById.ts';
import { operatorFailure } from './stage.ts';

export async function planWarmStart(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { chains: ArtifactRef; rewards: ArtifactRef },
): Promise<UpdatePlan> {
  const configuration = await readConfiguration(dependencies.store, run);
  const { warmStart, seed } = configuration;
  const requests = requestsById(await readLibrary(dependencies.store, run));
  const chains = await readShards<ChainRecord>(dependencies, input.chains);
  const rewards = await readShards<ScoredChain>(dependencies, input.rewards);

  const selection = filterWarmStart(
    chains.map((chain, index) => ({ chain, scored: rewards[index]!, request: requests.get(chain.requestId)! })),
    {
      keepPerKind: warmStart.keepPerKind,
      consistentWith: warmStart.consistent ? configuration.chain : undefined,
      plainAnswers: warmStart.target === 'refusal',
    },
    deriveSeed(seed, 'warm-start', 'keep'),
  );
  const { kept, added, leftOut } = selectByMarks(
    selection.kept,
    await markedChains(dependencies, run, warmStart.marks),
  );
  const learnt: PlannedStep['sequences'] = [
    ...kept.map(({ chain }) => sequenceOf(`${chain.requestId}/${chain.sampleIndex}`, chain)),
    ...added.map((chain) => sequenceOf(markedId(chain), chain)),
  ];
  if (learnt.length === 0) {
    throw operatorFailure(
      'NothingToLearn',
      `none of ${chains.length} chains passed the ${warmStart.target === 'refusal' ? 'outcome filter' : 'format and outcome filters'}: raise cases.count or chain.maxNewTokens, or try a larger model (cada chains shows them)`,
    );
  }

  const batches = Array.from({ length: warmStart.epochs }, (_, epoch) =>
    batchesOf(shuffled(learnt, deriveSeed(seed, 'warm-start', 'epoch', epoch)), warmStart.batchSequences),
  ).flat();
  const steps = batches.map((batch, index): PlannedStep => {
    const weights = sftTokenWeights(batch.map(({ completionTokens }) => completionTokens.length));
    return {
      objective: { name: 'sft' },
      learningRate: scheduledLearningRate(warmStart, index + 1, batches.length),
      settings: warmStart,
      sequences: batch.map((sequence, row) => ({ ...sequence, weight: weights[row]! })),
    };
  });
  const figures: Record<string, number> = { 'warm_start/kept': selection.kept.length };
  if (warmStart.marks) {
    figures['warm_start/marked_added'] = added.length;
    figures['warm_start/marked_left_out'] = leftOut;
  }
  for (const [kind, counts] of Object.entries(selection.byKind)) {
    figures[`warm_start/${kind}/seen`] = counts.seen;
    figures[`warm_start/${kind}/kept`] = counts.kept;
    for (const [reason, dropped] of Object.entries(counts.dropped)) {
      if (dropped > 0) figures[`warm_start/${kind}/dropped_${reason}`] = dropped;
    }
  }
  return publishPlan(dependencies.store, 'warmStart', steps, configuration, figures);
}

const sequenceOf = (id: string, { promptTokens, tokens }: Pick<ChainRecord, 'promptTokens' | 'tokens'>) => ({
  ...{ id, promptTokens, completionTokens: tokens },
  weight: 0,
});

function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, batch) =>
    items.slice(batch * size, (batch + 1) * size),
  );
}
