/** Which of the policy's own chains are preferred to those that it has written under a wrong belief. */
import type { ScoredChain } from '../chains/chain.ts';
import { rightVerdict } from '../rewards/outcomeReward.ts';

/**
 * For each bad-belief chain the best own chain of its request, among those that pass format and outcome filter, by reward; of equals the first. A request
 * without such a chain gives no pair: nothing there is worth preferring.
 * @param beliefs requests of the bad-belief chains
 * @returns indices into both
 */
export function againstBadBeliefs(
  own: readonly ScoredChain[],
  beliefs: readonly Pick<ScoredChain, 'requestId'>[],
): { chosen: number; belief: number }[] {
  const best = new Map<string, number>();
  for (const [index, chain] of own.entries()) {
    const passes = chain.reward !== null && chain.format && !chain.cut && chain.verdict === rightVerdict(chain.kind);
    if (!passes) continue;
    const before = best.get(chain.requestId);
    if (before === undefined || own[before]!.reward! < chain.reward!) best.set(chain.requestId, index);
  }
  return beliefs.flatMap(({ requestId }, belief) => {
    const chosen = best.get(requestId);
    return chosen === undefined ? [] : [{ chosen, belief }];
  });
}
