/** Seen and unseen hazards: figures of a policy on the hazards that its library withholds, and on those that it was shown (alignment/library/withholdHazards.ts). */
import type { ScoredChain } from '../chains/chain.ts';
import { compareEvaluations, type Comparison } from './comparison.ts';
import { evaluationFigures, type EvaluationFigures } from './figures.ts';

export const exposures = ['seen', 'unseen'] as const;

export type Exposure = (typeof exposures)[number];

/** What is told apart: the plain requests are about no hazard. */
export const exposedKinds = ['harmful', 'look-alike'] as const;

export interface CategorisedAnswer {
  category: string;
  scored: ScoredChain;
}

/** Undefined for a plain request. */
function exposureOf({ category, scored }: CategorisedAnswer, withheld: readonly string[]): Exposure | undefined {
  if (scored.kind === 'plain') return undefined;
  return withheld.includes(category) ? 'unseen' : 'seen';
}

/** Undefined where nothing is withheld. */
export function exposureFigures(
  answers: readonly CategorisedAnswer[],
  withheld: readonly string[] = [],
): Record<Exposure, EvaluationFigures> | undefined {
  if (withheld.length === 0) return undefined;
  return { seen: figuresOf('seen', answers, withheld), unseen: figuresOf('unseen', answers, withheld) };
}

const figuresOf = (exposure: Exposure, answers: readonly CategorisedAnswer[], withheld: readonly string[]) =>
  evaluationFigures(chainsOf(exposure, answers, withheld));

const chainsOf = (exposure: Exposure, answers: readonly CategorisedAnswer[], withheld: readonly string[]) =>
  answers.filter((answer) => exposureOf(answer, withheld) === exposure).map(({ scored }) => scored);

/** Two evaluations of the same requests, paired, on the hazards of each side. */
export function compareExposures(
  before: readonly CategorisedAnswer[],
  after: readonly CategorisedAnswer[],
  withheld: readonly string[],
  options: { bootstrapSamples: number; seed: string },
): Record<Exposure, Comparison> {
  const compare = (exposure: Exposure): Comparison =>
    compareEvaluations(chainsOf(exposure, before, withheld), chainsOf(exposure, after, withheld), {
      ...options,
      seed: `${options.seed}/${exposure}`,
    });
  return { seen: compare('seen'), unseen: compare('unseen') };
}
