import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** Minus the share of the token limit that the chain used: short chains are preferred among equals. `overlong` is about cut chains alone. */
export function lengthReward({ tokens, maxNewTokens }: RewardedChain): RewardPart {
  return { name: 'length', value: -Math.min(1, tokens / maxNewTokens) };
}
