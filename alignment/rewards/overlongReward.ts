import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** -1 where the chain was cut by maxNewTokens, else 0. */
export function overlongReward({ finishReason }: RewardedChain): RewardPart {
  return { name: 'overlong', value: finishReason === 'length' ? -1 : 0 };
}
