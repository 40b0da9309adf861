/** Bootstrap over questions and seeds: intervals of one arm's figure and of the difference between two, and what several comparisons do to p values. */
import { flatInterval, quantile, type Interval } from '../evaluation/intervals.ts';
import { uniformStream } from '../randomness/seededRandom.ts';

/** What sums of the same numbers may differ by. */
export const rounding = 1e-9;

/** One row a seed, one column a question; the columns of two arms are the same questions. */
export type SeedTable = readonly (readonly number[])[];

/**
 * Percentile bootstrap of the mean over seeds and questions: each round draws seeds, then questions, with replacement. With one seed it is the plain
 * bootstrap over questions.
 */
export function meanInterval(table: SeedTable, samples: number, seed: string): Interval {
  return percentiles(roundsOf([table], samples, seed).map(([mean]) => mean!));
}

export interface PairedDifference {
  value: number;
  interval: Interval;
  /**
   * Two-sided: the larger of the bootstrap's (share of rounds on the other side of 0), which knows of seeds but is too small for few questions, and that of
   * a sign-flip test over questions, which is right for any number of them. Each with one round more, so that none is 0.
   */
  p: number;
}

/** `after` less `before`, both between 0 and 1, with the questions drawn for both at once and seeds for each by itself. */
export function pairedDifference(before: SeedTable, after: SeedTable, samples: number, seed: string): PairedDifference {
  const differences = differencesOf(before, after, samples, seed);
  const value = meanOf(after) - meanOf(before);
  const [low, high] = percentiles(differences);
  const isFlat = high - low < rounding;
  return {
    value,
    interval: isFlat ? flatInterval(value, before[0]!.length) : [low, high],
    p: Math.max(shareBeyond(differences, 0), signFlip(before, after, samples, `${seed}/signs`)),
  };
}

/**
 * As `pairedDifference`'s bootstrap, of whether the difference is `value` in place of 0: two-sided, the share of rounds on the other side of it, with one
 * round more. The rounds are those of its interval.
 */
export function bootstrapP(before: SeedTable, after: SeedTable, value: number, samples: number, seed: string): number {
  return shareBeyond(differencesOf(before, after, samples, seed), value, rounding);
}

const differencesOf = (before: SeedTable, after: SeedTable, samples: number, seed: string): number[] =>
  roundsOf([before, after], samples, seed).map(([one, other]) => other! - one!);

function shareBeyond(differences: readonly number[], value: number, within = 0): number {
  const below = differences.filter((one) => one <= value + within).length;
  const above = differences.filter((one) => one >= value - within).length;
  return Math.min(1, (2 * (Math.min(below, above) + 1)) / (differences.length + 1));
}

/** `after` less `before` of each question, means over the seeds of each. */
export function questionDifferences(before: SeedTable, after: SeedTable): number[] {
  const meanAt = (table: SeedTable, place: number): number =>
    table.reduce((sum, row) => sum + row[place]!, 0) / table.length;
  return before[0]!.map((_, place) => meanAt(after, place) - meanAt(before, place));
}

/** How often the sum of the questions' differences, each with a random sign, is as far from 0 as it is (Fisher's randomisation, pairs). */
function signFlip(before: SeedTable, after: SeedTable, samples: number, seed: string): number {
  const differences = questionDifferences(before, after).filter(Boolean);
  const seen = Math.abs(differences.reduce((sum, one) => sum + one, 0)) - rounding;
  const uniform = uniformStream(seed);
  let asFar = 1;
  for (let round = 0; round < samples; round++) {
    const sum = differences.reduce((total, one) => total + (uniform() < 0.5 ? one : -one), 0);
    if (Math.abs(sum) >= seen) asFar += 1;
  }
  return asFar / (samples + 1);
}

/** Mean of each table in each round. */
function roundsOf(tables: readonly SeedTable[], samples: number, seed: string): number[][] {
  const uniform = uniformStream(seed);
  const questions = tables[0]![0]!.length;
  const drawn = new Int32Array(questions);
  return Array.from({ length: samples }, () => {
    for (let place = 0; place < questions; place++) drawn[place] = Math.floor(uniform() * questions);
    return tables.map((table) => {
      let sum = 0;
      for (let count = 0; count < table.length; count++) {
        const row = table.length === 1 ? table[0]! : table[Math.floor(uniform() * table.length)]!;
        for (let place = 0; place < questions; place++) sum += row[drawn[place]!]!;
      }
      return sum / (table.length * questions);
    });
  });
}

export function meanOf(table: SeedTable): number {
  const sums = table.map((row) => row.reduce((sum, value) => sum + value, 0) / row.length);
  return sums.reduce((sum, one) => sum + one, 0) / sums.length;
}

function percentiles(values: number[]): Interval {
  const sorted = values.sort((one, other) => one - other);
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

/** Holm's step-down adjustment (Holm 1979): p values that hold for all of the comparisons together, in the order given. */
export function holm(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).sort((one, other) => values[one]! - values[other]!);
  const adjusted = new Array<number>(values.length);
  let highest = 0;
  for (const [rank, index] of order.entries()) {
    highest = Math.max(highest, Math.min(1, (values.length - rank) * values[index]!));
    adjusted[index] = highest;
  }
  return adjusted;
}
