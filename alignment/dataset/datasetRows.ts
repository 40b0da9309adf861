/** The rows of a run's dataset: chains to imitate, and pairs of a better and a worse chain. Prompt and completions are messages, as TRL reads them. */
import { parseChain, type ChainFormat, type ChainRecord, type ScoredChain } from '../chains/chain.ts';
import type { SafetyRequest } from '../library/library.ts';
import { bestAgainstWorst } from '../preferences/choosePreferences.ts';
import { rightVerdict } from '../rewards/outcomeReward.ts';

export interface DatasetMessage {
  role: 'user' | 'assistant';
  content: string;
}

/** Of which part of the run a chain is. */
export interface ChainStage {
  stage: 'warm start' | 'iteration';
  /** 0 = the warm start. */
  iteration: number;
}

/** A chain with its reward and its request. */
export interface DatasetChain {
  chain: Pick<ChainRecord, 'requestId' | 'sampleIndex' | 'text' | 'guidance' | 'finishReason'>;
  scored: ScoredChain;
  request: SafetyRequest;
}

/** Of an iteration's chains those to imitate: a reward above 0 and the outcome that the request asks for. A harmful answer in good form is none. */
export const isRewarded = ({ scored }: Pick<DatasetChain, 'scored'>): boolean =>
  (scored.reward ?? 0) > 0 && hasRightOutcome(scored);

const hasRightOutcome = ({ verdict, kind }: ScoredChain): boolean => verdict === rightVerdict(kind);

export type SftRow = ReturnType<typeof sftRow>;

/**
 * @param chosen the warm start has kept it, or it {@link isRewarded}
 * @param format how its two parts are told apart
 */
export function sftRow(
  { chain, scored, request }: DatasetChain,
  { stage, iteration }: ChainStage,
  chosen: boolean,
  format: ChainFormat,
) {
  const { analysis, finalResponse } = parseChain(chain.text, format);
  return {
    prompt: asked(request),
    completion: answered(chain.text),
    request_id: request.id,
    sample: chain.sampleIndex,
    request: request.request,
    kind: request.kind,
    category: request.category,
    analysis,
    response: finalResponse,
    stage,
    iteration,
    selected: chosen,
    reward: scored.reward,
    reward_parts: scored.parts,
    verdict: scored.verdict,
    both_parts: scored.format,
    finish: chain.finishReason,
    guidance: chain.guidance,
  };
}

/** One side of a pair: a sampled chain, or one that was written under a wrong belief and has no reward. */
export interface PairSide {
  text: string;
  sample: number | null;
  reward: number | null;
  /** It refuses what is harmful, or answers what is not. */
  rightOutcome: boolean;
}

export type PreferenceRow = ReturnType<typeof preferenceRow>;

/** @param source `planned`: a pair that the run has trained on; `reward`: the best and the worst chain of a request, by reward. */
export function preferenceRow(
  request: SafetyRequest,
  { chosen, rejected }: { chosen: PairSide; rejected: PairSide },
  iteration: number,
  source: 'planned' | 'reward',
) {
  return {
    prompt: asked(request),
    chosen: answered(chosen.text),
    rejected: answered(rejected.text),
    request_id: request.id,
    request: request.request,
    kind: request.kind,
    category: request.category,
    iteration,
    source,
    chosen_sample: chosen.sample,
    rejected_sample: rejected.sample,
    chosen_reward: chosen.reward,
    rejected_reward: rejected.reward,
    /** False: both chains do what they should not, one of them in better form. */
    chosen_right: chosen.rightOutcome,
    /** Written under a wrong belief, to be rejected. */
    bad_belief: rejected.sample === null,
  };
}

/** Best against worst by reward, of every request whose rewards differ. */
export function rewardPairs(chains: readonly DatasetChain[], iteration: number): PreferenceRow[] {
  return bestAgainstWorst(chains.map(({ scored }) => scored)).map(({ chosen, rejected }) =>
    preferenceRow(
      chains[chosen]!.request,
      { chosen: sideOf(chains[chosen]!), rejected: sideOf(chains[rejected]!) },
      iteration,
      'reward',
    ),
  );
}

export const sideOf = ({ chain, scored }: DatasetChain): PairSide => ({
  text: chain.text,
  sample: chain.sampleIndex,
  reward: scored.reward,
  rightOutcome: hasRightOutcome(scored),
});

const asked = ({ request }: SafetyRequest): DatasetMessage[] => [{ role: 'user', content: request }];
const answered = (content: string): DatasetMessage[] => [{ role: 'assistant', content }];
