/** Which figures the run itself holds, for its card and its guard: the store has the others. Pure: commands use it too. */
import type { Figures } from '../activities/types.ts';

/** Of an iteration. */
export const iterationCardFigures = (figures: Figures): Figures =>
  chosen(figures, ['reward', 'rewards/format/mean', 'kl', 'grad_norm', 'completions/mean_length']);

/** Of an evaluation. */
export const evaluationCardFigures = (figures: Figures): Figures =>
  rounded(chosen(figures, ['format', 'refusal/harmful', 'refusal/plain', 'refusal/look-alike']));

function chosen(figures: Figures, names: readonly string[]): Figures {
  return Object.fromEntries(names.filter((name) => figures[name] !== undefined).map((name) => [name, figures[name]!]));
}

/** To four places: digits that no card shows would make payloads large. */
export function rounded(figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, roundedNumber(value)]));
}

export const roundedNumber = (value: number): number => Math.round(value * 1e4) / 1e4;
