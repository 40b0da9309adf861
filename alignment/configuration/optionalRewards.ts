/** Reward parts that count only where they are given a weight: absent ones are no part of a configuration's digest. */
import { z } from 'zod';
import type { EnsembleSettings } from './ensemble.ts';

export const optionalRewards = [
  ...(['graded', 'repetition', 'language', 'grounding', 'length'] as const),
  ...(['guard', 'ensemble'] as const),
] as const;

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
  guard: weight.describe(
    '1 minus P(unsafe) that the guard model of `guardModel` gives the final response. 0 = for figures alone; absent = not asked.',
  ),
  ensemble: weight.describe(
    'On harmful requests: what several judges say of the final response, 0 to 1, by the section `ensemble`. Absent = not asked.',
  ),
} satisfies Record<OptionalReward, typeof weight>;

export interface RewardSettings {
  rewards: Partial<Record<OptionalReward, number | undefined>>;
  judge?: object | undefined;
  guardModel?: { requests?: 'harmful' | 'all' | undefined } | undefined;
  ensemble?: EnsembleSettings | undefined;
}

/** @returns what is wrong, by section and key. */
export function rewardProblems({ rewards, judge, guardModel, ensemble }: RewardSettings): {
  section: string;
  key: string;
  message: string;
}[] {
  const problems: { section: string; key: string; message: string }[] = [];
  const complain = (section: string, key: string, message: string) => problems.push({ section, key, message });
  const inEnsemble = (judge: EnsembleSettings['judges'][number]): boolean => ensemble?.judges.includes(judge) === true;
  if (rewards.graded !== undefined && !judge)
    complain(
      'rewards',
      'graded',
      'needs a rubric judge: add the section `judge` with its url and model, or leave this out',
    );
  if (rewards.guard !== undefined && !guardModel)
    complain(
      'rewards',
      'guard',
      'needs a guard model: add the section `guardModel` with its source, or leave this out',
    );
  if (rewards.ensemble !== undefined && !ensemble)
    complain('rewards', 'ensemble', 'needs the section `ensemble` with its judges: add it, or leave this out');
  if (rewards.ensemble === undefined && ensemble)
    complain('ensemble', 'judges', 'are not asked: give rewards.ensemble a weight, or leave the section out');
  if (inEnsemble('rubric') && !judge)
    complain('ensemble', 'judges', "'rubric' needs a rubric judge: add the section `judge` with its url and model");
  if (inEnsemble('guard') && !guardModel)
    complain('ensemble', 'judges', "'guard' needs a guard model: add the section `guardModel` with its source");
  if (guardModel && rewards.guard === undefined && !inEnsemble('guard'))
    complain(
      'guardModel',
      'source',
      'is not asked: give rewards.guard a weight (0 = for figures alone), or leave the section out',
    );
  return problems;
}

/** Whether a reward of the configuration needs the rubric judge's grades. */
export function asksRubricJudge(settings: RewardSettings): boolean {
  return settings.rewards.graded !== undefined || ensembleAsks(settings, 'rubric');
}

/** Whether a reward of the configuration needs the guard model's probabilities. */
export function asksGuardModel(settings: RewardSettings): boolean {
  return settings.rewards.guard !== undefined || ensembleAsks(settings, 'guard');
}

function ensembleAsks({ rewards, ensemble }: RewardSettings, judge: EnsembleSettings['judges'][number]): boolean {
  return rewards.ensemble !== undefined && ensemble?.judges.includes(judge) === true;
}
