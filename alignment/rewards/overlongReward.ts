import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** -1 where the chain was cut by maxNewTokens, else 0. */
export function overlongReward({ finishReason }: RewardedChain): RewardPart {
  return { name: 'overlong', value: finishReason === 'length' ? -1 : 0 };
}

/**
 * The soft penalty of DAPO (Yu et al. 2025, equation 13): from 0, `buffer` tokens before the limit, down to -1 at the limit; with buffer 0 only the cut
 * counts. A cut chain has -1 by `overlongReward` already: this is what an uncut chain gets in its place.
 */
export function overlongRamp(tokens: number, maxNewTokens: number, buffer: number): number {
  const over = tokens - (maxNewTokens - buffer);
  return over <= 0 || buffer === 0 ? 0 : -Math.min(1, over / buffer);
}
