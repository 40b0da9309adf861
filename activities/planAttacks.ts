/** The questions of an evaluation with those of its searched attacks, when all are found. */
import type { SearchedAttackName } from '../alignment/attacks/attackNames.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import { readAttack, type AttackInput } from './attackInputs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { toLines } from './inputs.ts';
import { pairQuestions } from './pairRounds.ts';
import { rewordedQuestions, rewordingShards } from './rewordQuestions.ts';
import { foundSuffix } from './searchSuffix.ts';
import type { ArtifactRef, PolicyState, RunContext } from './types.ts';

export interface AttackPlan {
  names: SearchedAttackName[];
  /** Questions that GCG searches suffixes for; 0 = it is not among the attacks. */
  suffixes: number;
  rewordingShards: number;
  pair: boolean;
  /** Answers of `translation` are to be translated before they are judged. */
  translateBack: boolean;
}

export async function planAttacks(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: AttackInput,
): Promise<AttackPlan> {
  const { names, goals, settings } = await readAttack(dependencies, run, input);
  const rewords = names.includes('pap') || names.includes('translation');
  return {
    names,
    suffixes: names.includes('gcg') ? goals.length : 0,
    rewordingShards: rewords ? rewordingShards(goals.length) : 0,
    pair: names.includes('pair') && goals.length > 0,
    translateBack: names.includes('translation') && settings.translation.back,
  };
}

export interface CollectInput extends AttackInput {
  policy: PolicyState;
  /** Streams after PAIR's last round. */
  streams?: ArtifactRef;
}

/** After each question the same under each attack. */
export async function collectAttacks(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: CollectInput,
): Promise<{ questions: ArtifactRef; items: number }> {
  const read = await readAttack(dependencies, run, input);
  const attacked: SuiteQuestion[] = [];
  if (read.names.includes('gcg')) {
    const suffixOf = await foundSuffix(dependencies, run, input);
    for (const [index, goal] of read.goals.entries()) {
      attacked.push({
        ...goal,
        ...{ id: `${goal.id}@gcg`, prompt: `${goal.prompt}${await suffixOf(index)}`, attack: 'gcg' },
      });
    }
  }
  if (input.streams) attacked.push(...(await pairQuestions(dependencies, read, input.streams)));
  if (read.names.includes('pap') || read.names.includes('translation'))
    attacked.push(...(await rewordedQuestions(dependencies, read)));
  const byQuestion = new Map<string, SuiteQuestion[]>();
  for (const question of attacked) {
    const of = question.id.slice(0, question.id.lastIndexOf('@'));
    byQuestion.set(of, [...(byQuestion.get(of) ?? []), question]);
  }
  const all = read.questions.flatMap((question) => [question, ...(byQuestion.get(question.id) ?? [])]);
  const { store } = dependencies;
  return { questions: await store.putBytes(toLines(all), 'suite-questions'), items: all.length };
}
