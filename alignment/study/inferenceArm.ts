/** Inference arms: what stands before a question when a model is asked. The paper's settings without training (docs/studies.md). */
import type { CaseSamplingSettings } from '../configuration/caseSampling.ts';
import { formatExamples } from '../prompts/formatExamples.ts';

/** `own`: of the detailed codes those of the question's category, where it is known, else all. */
export const codeChoices = ['none', 'simple', 'detailed', 'own'] as const;

export const mostCases = 16;

/** `sampling`: how cases are chosen: for each question by itself, by its category, the same for all, by nearness to the question, or none. */
export interface InferenceArm extends CaseSamplingSettings {
  codes: (typeof codeChoices)[number];
  cases: number;
  layout: 'turns' | 'text';
  /** Exchanges about plain facts before the cases that show the two parts of a chain, as `cases.formatExamples` of trained arms; absent = none. */
  formatExamples?: number | undefined;
}

export const askedBare: InferenceArm = { codes: 'none', cases: 0, sampling: 'random', layout: 'turns' };

/** The question alone: neither codes nor cases nor format examples, and no instruction either. */
export const isBare = ({ codes, cases, formatExamples }: InferenceArm): boolean =>
  codes === 'none' && cases === 0 && !formatExamples;

const defaultCases = 4;

/**
 * An arm as the command line and a study's file write it: `none`, or parts joined by commas. `codes` (all detailed codes), `codes:own` (those of
 * the question's category), `simple`, `cases` or `cases:K`, `format` or `format:K`. Without a word about codes there are the simple ones, as in the
 * paper; `none,cases:4` has cases alone.
 *
 * @throws Error that names the part that is none.
 */
export function parseArm(text: string): InferenceArm {
  const arm: Partial<Pick<InferenceArm, 'codes' | 'cases' | 'formatExamples'>> = {};
  for (const part of text.split(',').map((one) => one.trim())) {
    const read = readPart(part);
    const [[key]] = Object.entries(read) as [[keyof typeof arm, unknown]];
    if (key in arm) throw new Error(`"${text}" names ${nouns[key]} twice: leave one out`);
    Object.assign(arm, read);
  }
  return { ...askedBare, codes: 'simple', ...arm };
}

const nouns = { codes: 'codes', cases: 'cases', formatExamples: 'format' };

const codesInWords = { none: 'none', simple: 'simple', detailed: 'codes', own: 'codes:own' };

function readPart(
  part: string,
): Pick<InferenceArm, 'codes'> | Pick<InferenceArm, 'cases'> | { formatExamples: number } {
  const codes = codeChoices.find((choice) => codesInWords[choice] === part);
  if (codes !== undefined) return { codes };
  const counted = /^(cases|format)(?::(\d{1,3}))?$/.exec(part);
  if (!counted) {
    throw new Error(
      `"${part}" is no part of an arm: write none, codes, codes:own, simple, cases or cases:4, format or format:2`,
    );
  }
  const [, what, written] = counted;
  if (what === 'cases') {
    const cases = Number(written ?? defaultCases);
    if (cases > mostCases) throw new Error(`"${part}" asks for more than ${mostCases} cases`);
    return { cases };
  }
  const count = Number(written ?? formatExamples.length);
  if (count < 1 || count > formatExamples.length)
    throw new Error(`"${part}": there are 1 to ${formatExamples.length} examples of the format`);
  return { formatExamples: count };
}

/** The arm in the words that {@link parseArm} reads. */
export function armName({ codes, cases, formatExamples: examples }: InferenceArm): string {
  const parts = [codesInWords[codes], cases > 0 && `cases:${cases}`, examples && `format:${examples}`];
  return parts.filter(Boolean).join(',');
}
