/** How far a judge and the labels of people agree. */
import { wilsonInterval } from '../evaluation/intervals.ts';
import type { Interval } from '../evaluation/intervals.ts';

/** One answer: what people said of it and what the judge said. */
export interface JudgedLabel {
  label: string;
  said: string;
}

export interface Agreement {
  n: number;
  /** Share of answers on which both say the same, with its 95 % Wilson interval. */
  accuracy: { value: number; interval: Interval };
  /** Cohen's kappa (Cohen 1960): agreement beyond chance; null where chance alone agrees always (both say one and the same of everything). */
  kappa: number | null;
  /** Answers by label, then by what the judge said. Every class has a row and a column, in alphabetical order. */
  confusion: Record<string, Record<string, number>>;
}

/** @throws Error without answers. */
export function agreementOf(answers: readonly JudgedLabel[]): Agreement {
  const n = answers.length;
  if (n === 0) throw new Error('there are no answers to compare a judge with');
  const classes = [...new Set(answers.flatMap(({ label, said }) => [label, said]))].sort();
  const confusion = confusionOf(answers, classes, classes);
  const equal = classes.reduce((sum, name) => sum + confusion[name]![name]!, 0);
  const observed = equal / n;
  const byChance = classes.reduce((sum, name) => {
    const labelled = classes.reduce((row, said) => row + confusion[name]![said]!, 0);
    const judged = classes.reduce((column, label) => column + confusion[label]![name]!, 0);
    return sum + (labelled / n) * (judged / n);
  }, 0);
  return {
    n,
    accuracy: { value: observed, interval: wilsonInterval(equal, n) },
    kappa: byChance === 1 ? null : (observed - byChance) / (1 - byChance),
    confusion,
  };
}

/** Counts of answers by label and by what the judge said; labels and answers may be of different kinds. */
export function confusionOf(
  answers: readonly JudgedLabel[],
  labels: readonly string[],
  said: readonly string[],
): Record<string, Record<string, number>> {
  return Object.fromEntries(
    labels.map((label) => [
      label,
      Object.fromEntries(
        said.map((one) => [one, answers.filter((answer) => answer.label === label && answer.said === one).length]),
      ),
    ]),
  );
}
