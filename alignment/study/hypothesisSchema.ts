/** What a study claims before it is run, as `hypotheses` of its file says it. They judge its figures and name nothing: units and study are the same without. */
import { z } from 'zod';

export const directions = ['higher', 'lower', 'changes', 'no-worse'] as const;

const comparison = {
  /** A measure's id: `harmlessness`, `robustness/<attack>`, `over-refusal`, `utility/<suite>`, ... */
  figure: z.string().min(1).max(80),
  /** What it is claimed of. */
  arm: z.string(),
  /** What that is compared with. */
  against: z.string(),
  /** Of the figure of `arm` against that of `against`; `no-worse`: in the sense in which the figure is good. */
  direction: z.enum(directions),
  /** Smallest difference that counts; of `no-worse` the largest loss that does not. */
  margin: z.number().positive().lt(1).optional(),
};

const part = z.strictObject(comparison);

export const hypothesisSchema = z.strictObject({
  claim: z
    .string()
    .min(1)
    .max(300)
    .regex(/^[^\p{Cc}]*$/u, 'one line of text'),
  ...z.strictObject(comparison).partial().shape,
  /** In place of one comparison several: the claim holds if each of them does. */
  all: z.array(part).min(1).max(20).optional(),
});

export const hypothesesSchema = z.array(hypothesisSchema).min(1).max(50);

export type Hypothesis = z.infer<typeof hypothesisSchema>;
export type HypothesisPart = z.infer<typeof part>;

const needed = ['figure', 'arm', 'against', 'direction'] as const;

/** The comparisons that a checked hypothesis is made of. */
export function partsOf({ claim: _claim, all, ...one }: Hypothesis): HypothesisPart[] {
  return all ?? [one as HypothesisPart];
}

/** Below it, after Holm's adjustment, a comparison decides. */
export const decisiveP = 0.05;

interface Problem {
  path: (string | number)[];
  message: string;
}

/** What can be told to be wrong without any figure. */
export function hypothesisProblems(
  hypotheses: readonly Hypothesis[],
  arms: readonly string[],
  { models, bootstrapSamples }: { models: number; bootstrapSamples: number },
): Problem[] {
  const problems = hypotheses.flatMap((one, index): Problem[] => {
    const path = ['hypotheses', index];
    const own = (Object.keys(comparison) as (keyof typeof comparison)[]).filter((key) => one[key] !== undefined);
    if (one.all) {
      if (own.length > 0) return [{ path, message: `has \`all\` and ${own.join(', ')}: write these in its parts` }];
      return one.all.flatMap((part, place) => partProblems(part, [...path, 'all', place], arms));
    }
    const missing = needed.filter((key) => one[key] === undefined);
    if (missing.length > 0) return [{ path, message: `needs ${missing.join(', ')}, or \`all\` with several parts` }];
    return partProblems(partsOf(one)[0]!, path, arms);
  });
  const comparisons = hypotheses.reduce((sum, { all }) => sum + (all?.length ?? 1), 0) * models;
  // The smallest p of a bootstrap is 2 / (draws + 1).
  if ((2 * comparisons) / (bootstrapSamples + 1) >= decisiveP) {
    const least = Math.ceil((2 * comparisons) / decisiveP);
    const message = `${comparisons} comparisons of hypotheses need at least ${least} draws: with ${bootstrapSamples} none could be decided after Holm's adjustment`;
    problems.push({ path: ['bootstrapSamples'], message });
  }
  return problems;
}

function partProblems(part: HypothesisPart, path: (string | number)[], arms: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  for (const key of ['arm', 'against'] as const) {
    if (arms.includes(part[key])) continue;
    problems.push({ path: [...path, key], message: `no arm is named "${part[key]}"; there are ${arms.join(', ')}` });
  }
  if (part.arm === part.against)
    problems.push({ path: [...path, 'against'], message: `compares "${part.arm}" with itself` });
  if (part.direction === 'no-worse' && part.margin === undefined)
    problems.push({ path, message: 'no-worse needs a `margin`: the largest loss that does not count' });
  return problems;
}
