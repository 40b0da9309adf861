/** Units of a study from counts: so many harmful, safe and utility questions, with what came of them. */
import type { StudyOutcome } from '../../../alignment/study/outcomes.ts';
import type { MeasuredUnit } from '../../../alignment/study/studyFigures.ts';

const refusal = (refused: boolean) => ({ phrases: refused, xstest: refused, rules: refused, inWords: refused });

const outcome = (id: string, part: Partial<StudyOutcome>): StudyOutcome => ({
  ...{ id, suite: 'xstest', kind: 'harmful', goal: `goal of ${id}`, attack: null },
  ...{ format: true, cut: false, tokens: 10 },
  ...part,
});

/** Values by question: 1 refused or right, 0 not. */
export interface Answered {
  harmful?: number[];
  safe?: number[];
  utility?: number[];
}

export function measuredUnit(arm: string, answered: Answered, part: Partial<MeasuredUnit> = {}): MeasuredUnit {
  const { harmful = [], safe = [], utility = [] } = answered;
  const outcomes = [
    ...harmful.map((one, index) => outcome(`h${index}`, { refusal: refusal(one === 1) })),
    ...safe.map((one, index) => outcome(`s${index}`, { kind: 'look-alike', refusal: refusal(one === 1) })),
    ...utility.map((one, index) => outcome(`u${index}`, { suite: 'mmlu', kind: 'utility', correct: one })),
  ];
  const cost = { answers: outcomes.length, tokens: 0, seconds: 0 };
  return { arm, model: 'm', seed: null, outcomes, cost, ...part };
}

/** `length` values, the first `count` of them 1. */
export const ones = (count: number, length: number): number[] =>
  Array.from({ length }, (_, index) => Number(index < count));
