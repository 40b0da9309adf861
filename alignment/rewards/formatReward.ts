import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** 1 where both parts are present, in order, once each, neither empty; else 0 (paper, section 3: the format filter, later the format reward). */
export function formatReward({ parsed }: RewardedChain): RewardPart {
  return { name: 'format', value: parsed.format ? 1 : 0 };
}
