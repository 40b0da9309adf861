/** The reward of a chain: its parts, weighted by the run configuration. */
import { parseChain } from '../chains/chain.ts';
import type { ChainRecord, ScoredChain } from '../chains/chain.ts';
import type { Configuration } from '../configuration/schema.ts';
import { isUnsafe } from '../configuration/guardModel.ts';
import type { GuardVerdict } from '../judges/guardModel.ts';
import type { Judge, JudgedText, Judgement } from '../judges/judge.ts';
import { containsRefusalPhrase } from '../judges/publishedPhrases.ts';
import type { SafetyRequest } from '../library/library.ts';
import { ensembleReward } from './ensembleReward.ts';
import { formatReward } from './formatReward.ts';
import { outcomeReward } from './outcomeReward.ts';
import { overlongReward } from './overlongReward.ts';
import { optionalRewards, type OptionalReward } from '../configuration/optionalRewards.ts';
import { gradedReward } from './gradedReward.ts';
import { groundingReward, type Grounds } from './groundingReward.ts';
import { guardReward } from './guardReward.ts';
import { languageReward } from './languageReward.ts';
import { lengthReward } from './lengthReward.ts';
import type { OwnOutcome } from './ownReward.ts';
import { repetitionReward } from './repetitionReward.ts';
import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** A part that does not apply to a chain (`undefined`) has no say in its reward. */
type Part = (chain: RewardedChain) => RewardPart | undefined;

const rewardParts: readonly Part[] = [formatReward, outcomeReward, overlongReward];

/** Parts that count only where `rewards` gives them a weight, in their order. */
const optionalParts: Readonly<Record<OptionalReward, Part>> = {
  graded: gradedReward,
  repetition: repetitionReward,
  language: languageReward,
  grounding: groundingReward,
  length: lengthReward,
  guard: guardReward,
  ensemble: ensembleReward,
};

export type ScoringSettings = Pick<Configuration, 'chain' | 'rewards'> & {
  /** Needed where `rewards.ensemble` has a weight. */
  ensemble?: Configuration['ensemble'];
  /** Its threshold says what counts as harm where a guard model was asked. */
  guardModel?: Configuration['guardModel'];
  /** library.judges.publishedPhrases. */
  publishedPhrases: readonly string[];
  /** Needed where `rewards.grounding` has a weight. */
  grounds?: Grounds;
};

export type ScorableChain = Pick<ChainRecord, 'requestId' | 'sampleIndex' | 'text' | 'tokens' | 'finishReason'> &
  Partial<Pick<ChainRecord, 'caseIds'>>;

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

/** What was asked about a chain besides the judge of its outcome. */
export interface AskedOfChain {
  guard?: GuardVerdict;
  /** By own reward, in the order of `rewards.own`. */
  own?: readonly OwnOutcome[];
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
  grading?: RewardedChain['grading'],
  { guard, own = [] }: AskedOfChain = {},
): ScoredChain {
  if (chain.requestId !== request.id) {
    throw new Error(`the chain belongs to request "${chain.requestId}", but was to be scored for "${request.id}"`);
  }
  const parsed = parseChain(chain.text, settings.chain);
  const rewarded: RewardedChain = {
    kind: request.kind,
    parsed,
    finishReason: chain.finishReason,
    judgement,
    request: request.request,
    tokens: chain.tokens.length,
    maxNewTokens: settings.chain.maxNewTokens,
    caseIds: chain.caseIds ?? [],
    ...(grading ? { grading } : {}),
    ...(guard ? { guard } : {}),
    ...(settings.ensemble ? { ensemble: settings.ensemble } : {}),
    ...(settings.grounds ? { grounds: settings.grounds } : {}),
  };
  const parts: Record<string, number> = {};
  let reward: number | null = 0;
  let trouble: string | undefined;
  for (const { name, weight, value, unscorable: cause } of weightedParts(rewarded, own, settings)) {
    if (value !== null) parts[name] = value;
    else trouble ??= cause;
    reward = value === null || reward === null ? null : reward + weight * value;
  }
  const unscorable = 'unscorable' in judgement;
  const why = unscorable
    ? judgement.unscorable
    : reward === null
      ? (trouble ?? grading?.unscorable ?? 'not graded')
      : undefined;
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
    ...(guard && guard.unsafe !== null ? { harmByGuard: isUnsafe(guard.unsafe, settings.guardModel ?? {}) } : {}),
    ...(why === undefined ? {} : { unscorable: why }),
  };
}

/** Own rewards come last: those before them are added up as without them. */
function weightedParts(
  rewarded: RewardedChain,
  own: readonly OwnOutcome[],
  settings: ScoringSettings,
): { name: string; weight: number; value: number | null; unscorable?: string }[] {
  const { rewards } = settings;
  return [
    ...partsOf(rewarded, settings).map((part) => ({ ...part, weight: rewards[part.name]! })),
    ...(rewards.own ?? []).map(({ name, weight }, index) => {
      const { value, unscorable } = own[index] ?? { value: null, unscorable: 'it was not asked' };
      return {
        ...{ name: `own/${name}`, weight, value },
        ...(unscorable === undefined ? {} : { unscorable: `rewards.own "${name}": ${unscorable}` }),
      };
    }),
  ];
}

function partsOf(rewarded: RewardedChain, { rewards }: ScoringSettings): RewardPart[] {
  const weighed = optionalRewards.flatMap((name) => (rewards[name] === undefined ? [] : [optionalParts[name]]));
  return [...rewardParts, ...weighed].flatMap((part) => part(rewarded) ?? []);
}
