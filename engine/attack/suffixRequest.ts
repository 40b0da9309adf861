/** The verb of an engine that has the weights at hand: the search for a suffix against a policy. Plain data, as the verbs of policy.ts. */
import type { OnProgress, PolicyWeights } from '../policy.ts';
import type { TokenizerSource } from '../tokenizer/tokenizerSource.ts';

export interface SuffixSearchSettings {
  /** Tokens of the suffix. */
  length: number;
  /** Tokens that are candidates for each place. */
  topK: number;
  /** Suffixes that are scored in a step. */
  batch: number;
  /** All draws are derived from it. */
  seed: string;
}

/** Where a search stands: what it goes on from. */
export interface SuffixState {
  /** Steps that were made. */
  step: number;
  suffix: number[];
  /** Of the suffix: -log p of the target's tokens, mean. */
  loss: number;
  /** The best suffix so far. */
  best: number[];
  bestLoss: number;
  /** Of the suffix that the search started from. */
  initialLoss: number;
  /** Greedy decoding writes the target behind the best suffix: each of its tokens has more than half of the probability. The search has ended. */
  reached: boolean;
}

export interface SuffixSearchRequest {
  policy: PolicyWeights;
  /** A chat in which `mark` stands once, where the suffix goes. */
  messages: { role: 'system' | 'user' | 'assistant'; content: string }[];
  mark: string;
  /** As of `loadTokenizer`; absent = the model's chat template as it is. */
  template?: Pick<Partial<TokenizerSource>, 'chatTemplate' | 'templateVariables' | 'keptTags'>;
  /** How the answer is to begin. */
  target: string;
  settings: SuffixSearchSettings;
  /** Step to stop at. */
  until: number;
  /** Absent = from the start. */
  state?: SuffixState;
}

export interface SuffixSearchResult {
  state: SuffixState;
  /** The best suffix in words, with white space where it begins with some. */
  text: string;
  /** Tokens that were read for it. */
  tokens: number;
}

export interface SuffixEngine {
  /** Bits are those of one search in one piece, wherever it was stopped and gone on with. */
  searchSuffix(request: SuffixSearchRequest, onProgress?: OnProgress): Promise<SuffixSearchResult>;
}
