import { wordsOf } from '../texts/words.ts';
import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** Words of one n-gram. */
const size = 3;

/**
 * Minus the share of word trigrams of the chain that were there before: 0 = nothing said twice, towards -1 = a loop (1 - distinct / all, as the repetition
 * penalty of Yeo et al. 2025, arXiv:2502.03373, and of open-r1). A heading repeats nothing; case is not regarded.
 */
export function repetitionReward({ parsed }: RewardedChain): RewardPart {
  const words = wordsOf(`${parsed.analysis}\n${parsed.finalResponse}`.toLowerCase());
  const grams = words.slice(size - 1).map((_, index) => words.slice(index, index + size).join(' '));
  return { name: 'repetition', value: grams.length === 0 ? 0 : new Set(grams).size / grams.length - 1 };
}
