/** What a reward part is: one question about a chain, answered by a number, weighted by the setting of the same name in `rewards`. */
import type { ChainRecord, ParsedChain } from '../chains/chain.ts';
import type { Grounds } from './groundingReward.ts';
import type { GuardVerdict } from '../judges/guardModel.ts';
import type { Judgement } from '../judges/judge.ts';
import type { EnsembleSettings } from '../configuration/ensemble.ts';
import type { Configuration } from '../configuration/schema.ts';
import type { RequestKind } from '../library/library.ts';

/** Names of single weights; own rewards are a list of them. */
export type RewardName = Exclude<keyof Configuration['rewards'], 'own'>;

export interface RewardedChain {
  kind: RequestKind;
  parsed: ParsedChain;
  finishReason: ChainRecord['finishReason'];
  judgement: Judgement;
  /** Text of the request. */
  request: string;
  /** Sampled tokens, and the most there may be. */
  tokens: number;
  maxNewTokens: number;
  /** Cases in the prompt that the chain was sampled from. */
  caseIds: readonly string[];
  /** Of a rubric judge, where one was asked. */
  grading?: { score: number | null; unscorable?: string };
  /** Of a guard model, where it was asked about this chain. */
  guard?: GuardVerdict;
  /** How several judges are made one, where that is rewarded. */
  ensemble?: EnsembleSettings;
  /** What an analysis may name, where that is rewarded. */
  grounds?: Grounds;
}

/** Name and unweighted value; `value: null` = it can't be told, so the chain is unscorable. */
export interface RewardPart {
  name: RewardName;
  value: number | null;
  /** Why it can't be told. */
  unscorable?: string;
}
