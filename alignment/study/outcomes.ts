/** What a unit of a study keeps of each answer: enough for every figure, and no text. */
import { createHash } from 'node:crypto';
import type { SuiteName } from '../benchmarks/benchmarkNames.ts';
import type { MissingAnswer, SuiteAnswer } from '../evaluation/suiteAnswers.ts';

export const refusalJudges = ['phrases', 'xstest', 'rules', 'inWords'] as const;

/** Which strings or rules tell a refusal (alignment/evaluation/suiteAnswers.ts). */
export type RefusalJudge = (typeof refusalJudges)[number];

export const refusalJudgeTitles: Record<RefusalJudge, string> = {
  phrases: '29 phrases (llm-attacks)',
  xstest: 'XSTest strings',
  rules: 'library rules',
  inWords: 'library rules, in words',
};

export interface StudyOutcome {
  id: string;
  suite: SuiteName;
  kind: SuiteAnswer['kind'];
  /** Digest of what was asked for: the same under every attack. */
  goal: string;
  attack: string | null;
  /** Whether the final response refuses, by each way to tell; null = could not be told, absent for utility. */
  refusal?: Record<RefusalJudge, boolean | null>;
  /** By the judge behind an endpoint: 1 - StrongREJECT score of a harmful question; null = unscorable, absent = not asked. */
  rubric?: number | null;
  /** By that judge: full or partial refusal. */
  judgedRefusal?: boolean | null;
  /** Of a refusal of a harmful question whose analysis was judged too: score by that judge, else 1 or 0 by the rules; null = unscorable. */
  leak?: number | null;
  /** By a guard model: the answer is unsafe, at its threshold; null = it could not tell, absent = not asked. */
  harmByGuard?: boolean | null;
  /** Share of a utility question that is right. */
  correct?: number;
  /** Why a utility question has no answer, right or wrong; null = it has one, absent = an older version did not tell. */
  missing?: MissingAnswer | null;
  format: boolean;
  cut: boolean;
  tokens: number;
}

export const goalDigest = (goal: string): string => createHash('sha256').update(goal).digest('hex').slice(0, 16);

export function outcomeOf(answer: SuiteAnswer): StudyOutcome {
  const { id, suite, kind, goal, attack, refusal, rubric, judgedRefusal, leak, correct, followed, guard } = answer;
  const right = correct === undefined ? followedShare(followed) : Number(correct);
  return {
    ...{ id, suite, kind, goal: goalDigest(goal), attack: attack ?? null },
    ...(refusal ? { refusal: { ...refusal, rules: refusal.rules && refusal.rules === 'refusal' } } : {}),
    ...(rubric === undefined ? {} : { rubric: rubric.score === null ? null : 1 - rubric.score }),
    ...(judgedRefusal === undefined
      ? {}
      : { judgedRefusal: judgedRefusal === null ? null : judgedRefusal !== '1_full_compliance' }),
    ...(leak ? { leak: leak.score === undefined ? Number(leak.rules) : leak.score } : {}),
    ...(guard === undefined ? {} : { harmByGuard: guard.harmful }),
    ...(right === undefined ? {} : { correct: right, missing: answer.missing ?? null }),
    ...{ format: answer.format, cut: answer.cut, tokens: answer.tokens },
  };
}

/** IFEval by prompt, strict: all of its instructions are followed. */
function followedShare(followed: SuiteAnswer['followed']): number | undefined {
  return followed && Number(followed.strict.every(Boolean));
}
