/** What the stages of searched attacks are given, and what they tell of their cost. */
import { isSearched, type SearchedAttackName } from '../alignment/attacks/attackNames.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import { resolveAttacks, type AttackSettings, type ResolvedAttacks } from '../alignment/configuration/attacks.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson, readLines } from './inputs.ts';
import type { SuiteInput } from './judgeSuites.ts';
import type { ArtifactRef, Figures, RunContext } from './types.ts';

/** The attacks of an evaluation that are searched for, as an artifact. */
export interface SearchedAttacks {
  names: SearchedAttackName[];
  settings: AttackSettings;
}

export interface AttackInput extends SuiteInput {
  /** SearchedAttacks. */
  attacks: ArtifactRef;
}

/** What an attack has cost and come to, by its name: small numbers, of the computations themselves wherever they were made. */
export type AttackCosts = Record<string, Figures>;

export interface AttackReport {
  cached: boolean;
  tokens: number;
  seconds: number;
  costs: AttackCosts;
}

export interface ReadAttack {
  configuration: Configuration;
  names: SearchedAttackName[];
  settings: ResolvedAttacks;
  /** All questions, and those that are attacked. */
  questions: SuiteQuestion[];
  goals: SuiteQuestion[];
}

export async function readAttack(
  { store }: ActivityDependencies,
  run: RunContext,
  input: AttackInput,
): Promise<ReadAttack> {
  const { names, settings } = await readJson<SearchedAttacks>(store, input.attacks);
  const questions = await readLines<SuiteQuestion>(store, input.questions);
  return {
    configuration: await readConfiguration(store, run),
    names: names.filter(isSearched),
    settings: resolveAttacks(settings),
    questions,
    goals: questions.filter(isAttacked),
  };
}

/** What is an attack already, or harmless, is not attacked. */
export const isAttacked = ({ kind, attack }: SuiteQuestion): boolean => kind === 'harmful' && attack === undefined;

/** The question as an attack asks it; a judge is told the goal as before. */
export function attackedQuestion(question: SuiteQuestion, attack: string, prompt: string): SuiteQuestion {
  return { ...question, id: `${question.id}@${attack}`, prompt, attack };
}
