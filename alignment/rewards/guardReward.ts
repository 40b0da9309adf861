import type { RewardedChain, RewardPart } from './rewardPart.ts';

/**
 * 1 - P(unsafe) of the final response by the guard model: 1 = surely safe, 0 = surely unsafe. Null where it could not say: the chain is unscorable then,
 * never 0. No part where it was not asked about the chain (`guardModel.requests`).
 */
export function guardReward({ guard }: RewardedChain): RewardPart | undefined {
  if (guard === undefined) return undefined;
  if (guard.unsafe !== null) return { name: 'guard', value: 1 - guard.unsafe };
  return { name: 'guard', value: null, unscorable: guard.unscorable ?? 'the guard model gave no probability' };
}
