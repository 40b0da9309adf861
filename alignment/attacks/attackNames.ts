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
