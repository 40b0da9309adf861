/** Reward parts that count only where they are given a weight: absent ones are no part of a configuration's digest. */
import { z } from 'zod';

export const optionalRewards = ['graded', 'repetition', 'language', 'grounding', 'length'] as const;

export type OptionalReward = (typeof optionalRewards)[number];

const weight = z.number().optional();

export const optionalRewardFields = {
  graded: weight.describe(
    'On harmful requests: 1 minus the StrongREJECT score that the rubric judge of `judge` gives the final response. Absent = not asked.',
  ),
  repetition: weight.describe(
    'Taken off for word trigrams that are said again, by their share. Absent = not looked at.',
  ),
  language: weight.describe('Analysis and final response are in the language of the request. Absent = not looked at.'),
  grounding: weight.describe(
    'The analysis names a code or case that exists, and none that does not. Absent = not looked at.',
  ),
  length: weight.describe('Taken off by the share of maxNewTokens that the chain used. Absent = not looked at.'),
} satisfies Record<OptionalReward, typeof weight>;

/** @returns what is wrong, by section and key. */
export function rewardProblems({
  rewards,
  judge,
}: {
  rewards: { graded?: number | undefined };
  judge?: object | undefined;
}): { section: string; key: string; message: string }[] {
  if (rewards.graded === undefined || judge !== undefined) return [];
  const message = 'needs a rubric judge: add the section `judge` with its url and model, or leave this out';
  return [{ section: 'rewards', key: 'graded', message }];
}
