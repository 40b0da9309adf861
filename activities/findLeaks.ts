/** Judges the analyses of refusals: the one place where a judge is shown an analysis, for figures alone. */
import type { ChainFormat, Leak } from '../alignment/chains/chain.ts';
import { leakOf, withheldAnalysis, type JudgedChain } from '../alignment/evaluation/leaks.ts';
import { createContentFinder } from '../alignment/judges/ruleJudge.ts';
import type { Library } from '../alignment/library/library.ts';
import type { RubricGrading, RubricJudge } from './endpointJudge.ts';
import { askAll } from './judgePool.ts';

export interface LeakCandidate extends JudgedChain {
  request: string;
  /** Codes that the rubric judge is shown; absent = none. */
  codes?: string;
}

export interface LeakSettings {
  format: ChainFormat;
  judges: Library['judges'];
  /** Absent = by the rules alone. */
  rubric?: RubricJudge | undefined;
  maxUnscorable: number;
}

/** Leaks in the order of the chains, undefined where nothing is withheld; and what the rubric judge was asked, for its costs. */
export async function findLeaks(
  candidates: readonly LeakCandidate[],
  { format, judges, rubric, maxUnscorable }: LeakSettings,
): Promise<{ leaks: (Leak | undefined)[]; asked: RubricGrading[] }> {
  const contentRule = createContentFinder(judges.refusal);
  const analyses = candidates.map((candidate) => withheldAnalysis(candidate, format));
  const texts = candidates.map(({ request, codes }, index) => {
    const analysis = analyses[index];
    return analysis ? { request, finalResponse: analysis, ...(codes === undefined ? {} : { codes }) } : undefined;
  });
  const gradings = rubric ? await askAll(rubric, texts, maxUnscorable) : [];
  const leaks = analyses.map((analysis, index) => {
    if (analysis === undefined) return undefined;
    // An empty analysis gives nothing.
    return leakOf(analysis, contentRule, gradings[index] ?? (rubric ? { score: 0 } : undefined));
  });
  return { leaks, asked: gradings.flatMap((grading) => grading ?? []) };
}
