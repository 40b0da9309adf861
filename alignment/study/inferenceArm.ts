/** Inference arms: what stands before a question when a model is asked. The paper's settings without training (docs/studies.md). */
import type { CaseSamplingSettings } from '../configuration/caseSampling.ts';

/** `own`: of the detailed codes those of the question's category, where it is known, else all. */
export const codeChoices = ['none', 'simple', 'detailed', 'own'] as const;

export const mostCases = 16;

/** `sampling`: how cases are chosen: for each question by itself, by its category, the same for all, by nearness to the question, or none. */
export interface InferenceArm extends CaseSamplingSettings {
  codes: (typeof codeChoices)[number];
  cases: number;
  layout: 'turns' | 'text';
}

export const askedBare: InferenceArm = { codes: 'none', cases: 0, sampling: 'random', layout: 'turns' };

/** The question alone: neither codes nor cases, and no instruction either. */
export const isBare = ({ codes, cases }: InferenceArm): boolean => codes === 'none' && cases === 0;

const defaultCases = 4;

/**
 * An arm as the command line and a study's file write it: `none`, or parts joined by commas. `codes` (all detailed codes), `codes:own` (those of
 * the question's category), `simple`, `cases` or `cases:K`. Cases without a word about codes go with the simple ones, as in the paper;
 * `none,cases:4` has cases alone.
 *
 * @throws Error that names the part that is none.
 */
export function parseArm(text: string): InferenceArm {
  let codes: InferenceArm['codes'] | undefined;
  let cases: number | undefined;
  for (const part of text.split(',').map((one) => one.trim())) {
    const choice = codesOf(part);
    const count = casesOf(part);
    if (choice === undefined && count === undefined) {
      throw new Error(`"${part}" is no part of an arm: write none, codes, codes:own, simple, cases or cases:4`);
    }
    if (choice !== undefined) {
      if (codes !== undefined) throw new Error(`"${text}" names codes twice: leave one out`);
      codes = choice;
    }
    if (count !== undefined) {
      if (cases !== undefined) throw new Error(`"${text}" names cases twice: leave one out`);
      cases = count;
    }
  }
  return { ...askedBare, codes: codes ?? 'simple', cases: cases ?? 0 };
}

function codesOf(part: string): InferenceArm['codes'] | undefined {
  const choices: Partial<Record<string, InferenceArm['codes']>> = {
    none: 'none',
    simple: 'simple',
    codes: 'detailed',
    'codes:own': 'own',
  };
  return Object.hasOwn(choices, part) ? choices[part] : undefined;
}

function casesOf(part: string): number | undefined {
  const match = /^cases(?::(\d{1,3}))?$/.exec(part);
  if (!match) return undefined;
  const count = match[1] === undefined ? defaultCases : Number(match[1]);
  if (count > mostCases) throw new Error(`"${part}" asks for more than ${mostCases} cases`);
  return count;
}

/** The arm in the words that {@link parseArm} reads. */
export function armName({ codes, cases }: InferenceArm): string {
  const words = { none: 'none', simple: 'simple', detailed: 'codes', own: 'codes:own' }[codes];
  return cases === 0 ? words : `${words},cases:${cases}`;
}
