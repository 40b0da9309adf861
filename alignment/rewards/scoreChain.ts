/** The reward of a chain: its parts, weighted by the run configuration. */
import { parseChain } from '../chains/chain.ts';
import type { ChainRecord, ScoredChain } from '../chains/chain.ts';
import type { Configuration } from '../configuration/schema.ts';
import type { Judge, JudgedText, Judgement } from '../judges/judge.ts';
import { containsRefusalPhrase } from '../judges/publishedPhrases.ts';
import type { SafetyRequest } from '../library/library.ts';
import { formatReward } from './formatReward.ts';
import { outcomeReward } from './outcomeReward.ts';
import { overlongReward } from './overlongReward.ts';
import type { RewardedChain } from './rewardPart.ts';

const rewardParts = [formatReward, outcomeReward, overlongReward];

export type ScoringSettings = Pick<Configuration, 'chain' | 'rewards'> & {
  /** library.judges.publishedPhrases. */
  publishedPhrases: readonly string[];
};

export type ScorableChain = Pick<ChainRecord, 'requestId' | 'sampleIndex' | 'text' | 'tokens' | 'finishReason'>;

/** Scores a chain with a judge that answers at once. */
export function scoreChain(
  chain: ScorableChain,
  request: SafetyRequest,
  judge: Judge,
  settings: ScoringSettings,
): ScoredChain {
  return rewardChain(chain, request, judge(judgedText(chain, request, settings)), settings);
}

/** What a judge is given of a chain: never its analysis. */
export function judgedText(
  chain: Pick<ChainRecord, 'text'>,
  request: Pick<SafetyRequest, 'request'>,
  settings: Pick<ScoringSettings, 'chain'>,
): JudgedText {
  return { request: request.request, finalResponse: parseChain(chain.text, settings.chain).finalResponse };
}

/**
 * The reward from a judgement that is already there: the sum of weight times value over the parts, in a fixed order. A part that can't be
 * told makes the chain unscorable (reward null): it is then left out of its group, never counted as 0.
 * @throws Error when the chain belongs to another request.
 */
export function rewardChain(
  chain: ScorableChain,
  request: SafetyRequest,
  judgement: Judgement,
  settings: ScoringSettings,
): ScoredChain {
  if (chain.requestId !== request.id) {
    throw new Error(`the chain belongs to request "${chain.requestId}", but was to be scored for "${request.id}"`);
  }
  const parsed = parseChain(chain.text, settings.chain);
  const rewarded: RewardedChain = { kind: request.kind, parsed, finishReason: chain.finishReason, judgement };
  const parts: Record<string, number> = {};
  let reward: number | null = 0;
  for (const { name, value } of rewardParts.map((part) => part(rewarded))) {
    if (value !== null) parts[name] = value;
    reward = value === null || reward === null ? null : reward + settings.rewards[name] * value;
  }
  const unscorable = 'unscorable' in judgement;
  return {
    requestId: chain.requestId,
    sampleIndex: chain.sampleIndex,
    kind: request.kind,
    parts,
    reward,
    verdict: unscorable ? null : judgement.verdict,
    format: parsed.format,
    phraseRefusal: containsRefusalPhrase(parsed.finalResponse, settings.publishedPhrases),
    refusalWithContent: unscorable ? false : judgement.refusalWithContent,
    tokens: chain.tokens.length,
    cut: chain.finishReason === 'length',
    ...(unscorable ? { unscorable: judgement.unscorable } : {}),
  };
}
