/** Names of the attacks that are templates. */
export const attackNames = [
  'prefix-injection',
  'refusal-suppression',
  'role-play',
  'base64',
  'leetspeak',
  'distractors',
  'multi-turn',
  'combination',
] as const;

export type AttackName = (typeof attackNames)[number];

/** Attacks that are made against a policy or by another model, so not before an evaluation is at work. */
export const searchedAttackNames = ['gcg', 'pair', 'pap', 'translation'] as const;

export type SearchedAttackName = (typeof searchedAttackNames)[number];

export const allAttackNames = [...attackNames, ...searchedAttackNames] as const;

export type AnyAttackName = (typeof allAttackNames)[number];

export function isSearched(name: AnyAttackName): name is SearchedAttackName {
  return searchedAttackNames.some((one) => one === name);
}

export const templatesAmong = (names: readonly AnyAttackName[]): AttackName[] =>
  names.filter((name): name is AttackName => !isSearched(name));
