/** Suites that a model is evaluated on: any public benchmark as a list of questions, whole or a seeded part. */
import type { RequestKind } from '../library/library.ts';
import type { AttackName } from '../attacks/attackNames.ts';
import { attacks } from '../attacks/attacks.ts';
import type { ChatMessage } from '../prompts/guidedPrompt.ts';
import { balancedOrder } from '../randomness/seededRandom.ts';
import { utilityNames, type BenchmarkName, type SuiteName, type UtilityName } from './benchmarkNames.ts';
import { benchmarks, type BenchmarkRequest, type BenchmarkSource } from './benchmarks.ts';
import { utilityBenchmarks, type Expected, type UtilityQuestion } from './utilityBenchmarks.ts';

export interface SuiteQuestion {
  id: string;
  suite: SuiteName;
  category: string;
  kind: Exclude<RequestKind, 'plain'> | 'utility';
  /** What the model is asked: the last user turn. */
  prompt: string;
  /** The whole dialogue, where there are earlier turns. */
  messages?: ChatMessage[];
  /** What a judge is told was asked: differs from the prompt under an attack. */
  goal: string;
  attack?: string;
  /** Utility questions: what makes an answer right. */
  expected?: Expected;
}

/**
 * Questions of each suite in a study, the same for every model (contracts: "The study"); a suite that is not listed is taken whole, up to
 * `mostQuestions`.
 */
const studySizes: Partial<Record<SuiteName, number>> = {
  'strongreject-small': 60,
  xstest: 450,
  advbench: 100,
  jailbreakbench: 200,
  gsm8k: 100,
  mmlu: 200,
};

const mostQuestions = 500;

export const studySize = (suite: SuiteName): number => studySizes[suite] ?? mostQuestions;

export function isUtility(suite: SuiteName): suite is UtilityName {
  return utilityNames.some((name) => name === suite);
}

export function suiteSource(suite: SuiteName): BenchmarkSource {
  return isUtility(suite) ? utilityBenchmarks[suite] : benchmarks[suite];
}

/** All questions of a suite from the texts of its files. @throws Error naming the column or row that is not as published. */
export function parseSuite(suite: SuiteName, texts: readonly string[]): SuiteQuestion[] {
  return isUtility(suite)
    ? utilityBenchmarks[suite].parse(texts).map((question) => utilityQuestion(suite, question))
    : benchmarks[suite].parse(texts).map((request) => safetyQuestion(suite, request));
}

function utilityQuestion(suite: UtilityName, { id, category, prompt, expected }: UtilityQuestion): SuiteQuestion {
  return { id, suite, category, kind: 'utility', prompt, goal: prompt, expected };
}

function safetyQuestion(
  suite: BenchmarkName,
  { id, category, label, request, goal, attack }: BenchmarkRequest,
): SuiteQuestion {
  return {
    id,
    suite,
    category,
    kind: label === 'harmful' ? 'harmful' : 'look-alike',
    prompt: request,
    goal: goal ?? request,
    ...(attack === undefined ? {} : { attack }),
  };
}

/**
 * At most `count` questions: the first of a seeded order that is balanced over categories, so that a smaller choice is part of a larger one. Attacks on one
 * goal stay together, because goodness under the worst of them needs all. In the order of the suite.
 */
export function selectQuestions(questions: readonly SuiteQuestion[], count: number, seed: string): SuiteQuestion[] {
  if (questions.length <= count) return [...questions];
  const byGoal = new Map<string, SuiteQuestion[]>();
  for (const question of questions) {
    const key = `${question.kind}/${question.goal}`;
    const group = byGoal.get(key);
    if (group) group.push(question);
    else byGoal.set(key, [question]);
  }
  const groups = balancedOrder(
    [...byGoal.values()],
    (group) => group[0]!.id,
    (group) => `${group[0]!.kind}/${group[0]!.category}`,
    `${seed}/suite/${questions[0]!.suite}`,
  );
  const chosen = new Set<SuiteQuestion>();
  for (const group of groups) {
    if (chosen.size + group.length > count) break;
    for (const question of group) chosen.add(question);
  }
  // A goal with more attacks than asked for: the first of them.
  if (chosen.size === 0) for (const question of groups[0]!.slice(0, count)) chosen.add(question);
  return questions.filter((question) => chosen.has(question));
}

/** The questions, and after each harmful one the same under each attack. What is an attack already, or harmless, is not attacked. */
export function attackQuestions(
  questions: readonly SuiteQuestion[],
  names: readonly AttackName[],
  seed: string,
): SuiteQuestion[] {
  return questions.flatMap((question) => {
    if (question.kind !== 'harmful' || question.attack !== undefined) return [question];
    const attacked = names.map((attack): SuiteQuestion => {
      const messages = attacks[attack].apply(question.prompt, `${seed}/${question.id}`);
      return {
        ...question,
        id: `${question.id}@${attack}`,
        prompt: messages.at(-1)!.content,
        ...(messages.length > 1 ? { messages } : {}),
        attack,
      };
    });
    return [question, ...attacked];
  });
}
