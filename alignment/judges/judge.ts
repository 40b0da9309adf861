/** What a judge of outcomes sees and says. */
import type { Verdict } from '../chains/chain.ts';

/**
 * All that a judge is given: the request and the final response. The analysis is no part of it (paper, section 3): a judge that read it would
 * reward reasoning that sounds safe above an outcome that is.
 */
export interface JudgedText {
  request: string;
  finalResponse: string;
}

export type Judgement =
  | {
      verdict: Verdict;
      /** A refusal in words, followed by the content it refuses. */
      refusalWithContent: boolean;
      /** Rule or answer that decided, for the reader of a report. */
      reason: string;
    }
  /** The judge could not say; why. The chain has no reward then. */
  | { unscorable: string };

/** A judge that answers at once. Judges behind a network give the same `Judgement` to `rewardChain`. */
export type Judge = (judged: JudgedText) => Judgement;
