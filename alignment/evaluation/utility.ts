/**
 * Utility of a policy: how well it still predicts the untouched model's own answers to harmless requests, given the raw request. A policy that forgets
 * what the base model knew gives those answers a higher loss; so does one that writes another form, as aligned policies do: compare aligned ones.
 */
import { changeOf, type Change } from './comparison.ts';

export interface AnswerLoss {
  requestId: string;
  /** Tokens of the answer. */
  tokens: number;
  /** Mean negative log-probability of its tokens, nats. */
  loss: number;
}

/** Mean over answers, nats a token; null without answers. */
export function meanLoss(losses: readonly AnswerLoss[]): number | null {
  return losses.length === 0 ? null : losses.reduce((sum, { loss }) => sum + loss, 0) / losses.length;
}

/**
 * The change of the loss, answer by answer, with its paired bootstrap interval.
 * @throws Error when the two are not of the same answers.
 */
export function compareLosses(
  before: readonly AnswerLoss[],
  after: readonly AnswerLoss[],
  options: { bootstrapSamples: number; seed: string },
): Change | null {
  const later = new Map(after.map((one) => [one.requestId, one]));
  const pairs = before.map(({ requestId, tokens, loss }) => {
    const partner = later.get(requestId);
    if (partner?.tokens !== tokens) throw new Error(`the answer to "${requestId}" was not measured both times`);
    return { before: loss, after: partner.loss };
  });
  return changeOf([{ sign: 1, pairs }], options.bootstrapSamples, `${options.seed}/bootstrap/utility`);
}
