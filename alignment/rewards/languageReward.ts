import { languageOf } from '../texts/language.ts';
import type { RewardedChain, RewardPart } from './rewardPart.ts';

/**
 * Share of the chain's parts (analysis, final response) that are in the language of the request. A part, or a request, that is too short to tell counts as
 * right; a missing part does not count.
 */
export function languageReward({ parsed, request }: RewardedChain): RewardPart {
  const asked = languageOf(request);
  const parts = [parsed.analysis, parsed.finalResponse].filter((part) => part !== '');
  const right = parts.filter((part) => {
    const found = languageOf(part);
    return asked === 'und' || found === 'und' || found === asked;
  });
  return { name: 'language', value: parts.length === 0 ? 0 : right.length / parts.length };
}
