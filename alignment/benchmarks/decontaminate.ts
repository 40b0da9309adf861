/**
 * Decontamination: a library without the training and development requests and the cases that a benchmark's questions repeat, exactly, in other words or in part (contamination.ts),
 * so that a figure on the benchmark is of questions that the policy was never shown. Held-out requests stay: nothing is trained or chosen by them.
 */
import { requestFile } from '../library/parseLibrary.ts';
import { caseFile, keepLines, requireSome, shownFiles } from '../library/thinnedFiles.ts';
import type { BenchmarkTexts } from './contamination.ts';
import { OverlapIndex, overlapKind, type OverlapKind } from './overlapIndex.ts';

/** The question that a text repeats. */
export interface RepeatedQuestion {
  benchmark: string;
  question: string;
  overlap: number;
}

/** What was left out, by ids, never by texts: kept with the library of a run (`decontamination.json`). */
export interface Decontamination {
  benchmarks: { benchmark: string; questions: number }[];
  /** A case takes the other one of its contrast pair along, for the same question. */
  leftOut: (RepeatedQuestion & { file: string; id: string })[];
}

export const decontaminationFile = 'decontamination.json';

/** Of all benchmarks the question with most words in common. */
export function repeatedQuestion(
  benchmarks: readonly BenchmarkTexts[],
): (text: string) => RepeatedQuestion | undefined {
  const indexes = benchmarks.map(({ benchmark, questions }) => ({
    benchmark,
    index: new OverlapIndex(questions.flatMap(({ id, texts }) => texts.map((text) => ({ id, text })))),
  }));
  return (text) =>
    indexes
      .flatMap(({ benchmark, index }) => {
        const found = index.nearest(text);
        return found ? [{ benchmark, question: found.id, overlap: found.overlap }] : [];
      })
      .sort((one, other) => other.overlap - one.overlap)[0];
}

interface Row {
  id: string;
  request: string;
  /** Of cases. */
  pair?: string;
}

/**
 * @param files of a library that is well formed
 * @throws Error where nothing would be left of a file.
 */
export function decontaminateLibrary(
  files: Readonly<Record<string, string>>,
  benchmarks: readonly BenchmarkTexts[],
): { files: Record<string, string>; found: Decontamination } {
  const repeated = repeatedQuestion(benchmarks);
  const left = { ...files };
  const leftOut: Decontamination['leftOut'] = [];
  for (const file of shownFiles) {
    const pairs = new Map<string, RepeatedQuestion>();
    const rows = rowsOf(files[file]!);
    const found = new Map(rows.map((row) => [row.id, repeated(row.request)]));
    for (const { id, pair } of rows) {
      const question = found.get(id);
      if (pair !== undefined && question && !pairs.has(pair)) pairs.set(pair, question);
    }
    left[file] = keepLines(files[file]!, (row) => {
      const { id, pair } = row as Row;
      const question = found.get(id) ?? (pair === undefined ? undefined : pairs.get(pair));
      if (question) leftOut.push({ file, id, ...question });
      return question === undefined;
    });
    requireSome(file, left[file], files[file]!, 'hold it against fewer benchmarks');
  }
  const compared = benchmarks.map(({ benchmark, questions }) => ({ benchmark, questions: questions.length }));
  return { files: left, found: { benchmarks: compared, leftOut } };
}

function rowsOf(content: string): Row[] {
  const rows: Row[] = [];
  keepLines(content, (row) => rows.push(row as Row) > 0);
  return rows;
}

/** One line a benchmark and file: how many of its texts were left out, and how they overlap. */
export function toldDecontamination({ benchmarks, leftOut }: Decontamination): string[] {
  const names = new Map([
    [requestFile('training'), 'training requests'],
    [requestFile('development'), 'development requests'],
    [caseFile, 'cases'],
  ]);
  return benchmarks.flatMap(({ benchmark, questions }) => {
    const own = leftOut.filter((one) => one.benchmark === benchmark);
    if (own.length === 0) return [`${benchmark} (${questions} questions): nothing is left out`];
    return [...Map.groupBy(own, ({ file }) => file)].map(([file, texts]) => {
      const count = (kind: OverlapKind): number => texts.filter(({ overlap }) => overlapKind(overlap) === kind).length;
      return `${benchmark} (${questions} questions): ${texts.length} ${names.get(file)} left out (${count('exact')} exact, ${count('near')} near, ${count('run')} in part)`;
    });
  });
}
