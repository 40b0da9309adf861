/** The chains that a run was trained on last, for its report: there reviewers mark them. */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import { chainName, type ChainSet } from '../alignment/feedback/chainName.ts';
import { requestsById } from '../alignment/library/requestsById.ts';
import type { ReportData } from '../alignment/report/reportData.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readLibrary } from './inputs.ts';
import type { IterationRecord, RunContext } from './types.ts';

/** @param line the iterations that lead to the run's policy, the warm start as iteration 0 */
export async function trainingChains(
  dependencies: ActivityDependencies,
  run: RunContext,
  line: readonly { value: IterationRecord }[],
): Promise<Pick<ReportData, 'training'>> {
  const last = line.findLast(({ value }) => value.chains && value.rewards)?.value;
  if (!last) return {};
  const requests = requestsById(await readLibrary(dependencies.store, run));
  const chains = await readShards<ChainRecord>(dependencies, last.chains!);
  const rewards = await readShards<ScoredChain>(dependencies, last.rewards!);
  const { iteration, epoch } = last;
  const set: ChainSet = iteration === 0 ? 'warmStart' : { iteration, epoch };
  return {
    training: {
      set: iteration === 0 ? 'the warm start' : `iteration ${iteration}`,
      chains: chains.map(({ requestId, sampleIndex, text }, index) => ({
        name: chainName({ set, requestId, sample: sampleIndex }),
        request: requests.get(requestId)!,
        text,
        scored: rewards[index]!,
      })),
    },
  };
}
