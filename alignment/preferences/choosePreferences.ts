/** Which sampled chains are preferred to which: pairs for DPO, labels for KTO, all by the rewards of the chains. */
import type { ScoredChain } from '../chains/chain.ts';
import { rightVerdict } from '../rewards/outcomeReward.ts';

/** Indices into the chains. */
export interface ChosenPair {
  chosen: number;
  rejected: number;
}

/**
 * The best and the worst chain of each request, by reward; of equals the first. A request whose scorable chains have equal rewards gives no pair.
 * In order of the requests' first appearance.
 */
export function bestAgainstWorst(chains: readonly Pick<ScoredChain, 'requestId' | 'reward'>[]): ChosenPair[] {
  const rewardOf = (index: number): number => chains[index]!.reward!;
  return scorableByRequest(chains).flatMap((group): ChosenPair[] => {
    const chosen = group.reduce((best, index) => (rewardOf(index) > rewardOf(best) ? index : best));
    const rejected = group.reduce((worst, index) => (rewardOf(index) < rewardOf(worst) ? index : worst));
    return rewardOf(chosen) > rewardOf(rejected) ? [{ chosen, rejected }] : [];
  });
}

export interface LabelledChain {
  index: number;
  desirable: boolean;
}

/**
 * A label for every scorable chain. Desirable is a chain that would pass the filters of the warm start (both parts, not cut, the outcome that its request
 * asks for); with `threshold` one whose reward reaches it.
 */
export function labelChains(chains: readonly ScoredChain[], threshold?: number): LabelledChain[] {
  return scorableByRequest(chains)
    .flat()
    .map((index) => {
      const chain = chains[index]!;
      const passes = chain.format && !chain.cut && chain.verdict === rightVerdict(chain.kind);
      return { index, desirable: threshold === undefined ? passes : chain.reward! >= threshold };
    });
}

/**
 * For each scorable chain the prompt of its request with a completion for another: the chain at its place among those of the next request, the first
 * coming after the last. KTO estimates its KL term by them. Empty where only one request has scorable chains.
 */
export function mismatchedChains(
  chains: readonly Pick<ScoredChain, 'requestId' | 'reward'>[],
): { prompt: number; completion: number }[] {
  const groups = scorableByRequest(chains);
  if (groups.length < 2) return [];
  return groups.flatMap((group, g) => {
    const next = groups[(g + 1) % groups.length]!;
    return group.map((prompt, place) => ({ prompt, completion: next[place % next.length]! }));
  });
}

function scorableByRequest(chains: readonly Pick<ScoredChain, 'requestId' | 'reward'>[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, { requestId, reward }] of chains.entries()) {
    if (reward === null) continue;
    const group = groups.get(requestId);
    if (group) group.push(index);
    else groups.set(requestId, [index]);
  }
  return [...groups.values()];
}
