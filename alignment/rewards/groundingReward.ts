import type { Library } from '../library/library.ts';
import type { RewardedChain, RewardPart } from './rewardPart.ts';

/** What an analysis may lean on: see `groundsOf`. */
export interface Grounds {
  /** Numbers of the simple codes. */
  codes: number[];
  /** Titles of the detailed codes, in lower case. */
  titles: string[];
  caseIds: string[];
}

/** The codes and cases of a library, as an analysis can name them. */
export function groundsOf({ codes, cases }: Pick<Library, 'codes' | 'cases'>): Grounds {
  const titleOf = ({ attributes, category }: Library['codes']['simple']): string[] => {
    const { title } = attributes;
    return typeof title === 'string'
      ? [title.toLowerCase()]
      : category === undefined
        ? []
        : [category.replaceAll('-', ' ')];
  };
  return {
    codes: [...codes.simple.text.matchAll(/^\s*(\d+)[.)]\s/gm)].map((match) => Number(match[1])),
    titles: codes.detailed.flatMap(titleOf),
    caseIds: cases.map(({ id }) => id),
  };
}

/**
 * 1 where the analysis names a code or a case that exists ("under code 2", "the rule on privacy", "case 1" of the prompt, a case by its id) and none that
 * does not; else 0. It says nothing about whether the code fits.
 */
export function groundingReward({ parsed, grounds, caseIds }: RewardedChain): RewardPart {
  const { analysis } = parsed;
  const known = grounds ?? { codes: [], titles: [], caseIds: [] };
  const numbersAfter = (words: string): number[] =>
    [...analysis.matchAll(new RegExp(`\\b(?:${words})s?\\s+(?:no\\.\\s*|number\\s+|#)?(\\d+)\\b`, 'giu'))].map(
      (match) => Number(match[1]),
    );
  const codes = numbersAfter('code|rule');
  const cases = numbersAfter('case|example|precedent');
  const invented =
    codes.some((code) => !known.codes.includes(code)) || cases.some((one) => one < 1 || one > caseIds.length);
  const named =
    codes.length > 0 ||
    cases.length > 0 ||
    known.titles.some((title) => namesTitle(analysis, title)) ||
    known.caseIds.some((id) => analysis.includes(id));
  return { name: 'grounding', value: named && !invented ? 1 : 0 };
}

/** "the code on privacy", "the privacy rule": a title alone is an everyday word. */
function namesTitle(analysis: string, title: string): boolean {
  const escaped = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(
    `\\b(?:code|rule)s?\\s+(?:on|about|for|of|against)\\s+${escaped}\\b|\\b${escaped}\\s+(?:code|rule)s?\\b`,
    'iu',
  ).test(analysis);
}
