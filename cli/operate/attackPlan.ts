/** What attacks that are searched for will come to, told before they are begun. */
import { isAttacked, type SearchedAttacks } from '../../activities/attackInputs.ts';
import { isSearched, type AnyAttackName } from '../../alignment/attacks/attackNames.ts';
import type { SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import { attackWork, missingForAttacks, type AttackSettings } from '../../alignment/configuration/attacks.ts';
import { costOfCalls } from '../../alignment/configuration/endpoint.ts';
import { badInput } from '../errors.ts';

/** Undefined where none is searched for. @throws CliError where they need an attacker and have none. */
export function searchedAttacks(
  attacks: readonly AnyAttackName[],
  settings: AttackSettings = {},
): SearchedAttacks | undefined {
  const names = attacks.filter(isSearched);
  if (names.length === 0) return undefined;
  const missing = missingForAttacks(names, settings);
  if (missing !== undefined) throw badInput(`${missing}.`, 'Give it in the file of --attack-settings.');
  return { names, settings };
}

/** A rewording with its question; one with its conversation is longer. */
const tokensOfCall = { input: 600, output: 300 };

/** At most: streams end where they succeed, searches where the target is written. */
export function tellAttackWork(
  attacks: readonly AnyAttackName[],
  settings: AttackSettings = {},
  questions: readonly SuiteQuestion[],
  report: (line: string) => void,
): void {
  const names = attacks.filter(isSearched);
  const goals = questions.filter(isAttacked).length;
  if (names.length === 0) return;
  const { gradients, scoredSuffixes, attackerCalls, targetAnswers } = attackWork(names, settings, goals);
  const cost = settings.attacker
    ? costOfCalls(settings.attacker, attackerCalls, tokensOfCall.input, tokensOfCall.output)
    : 0;
  const parts = [
    ...(gradients > 0 ? [`${gradients} gradients and ${scoredSuffixes} suffixes scored`] : []),
    ...(attackerCalls > 0
      ? [`${attackerCalls} calls of the attacker${cost === null || cost === 0 ? '' : ` (about ${cost.toFixed(2)})`}`]
      : []),
    ...(targetAnswers > 0 ? [`${targetAnswers} further answers`] : []),
  ];
  report(`${names.join(', ')} on ${goals} questions: at most ${parts.join(', ')}`);
}
