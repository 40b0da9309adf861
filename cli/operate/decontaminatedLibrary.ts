/** The part of a library that no benchmark repeats, as `library.decontaminate` asks for it. */
import {
  decontaminateLibrary,
  decontaminationFile,
  repeatedQuestion,
  toldDecontamination,
  type RepeatedQuestion,
} from '../../alignment/benchmarks/decontaminate.ts';
import { suiteTexts, type BenchmarkTexts } from '../../alignment/benchmarks/contamination.ts';
import type { SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { cadaCache } from '../../infra/paths.ts';
import { badInput } from '../errors.ts';
import { readSuite, type BenchmarkPlaces } from './benchmarkFiles.ts';

/** Where benchmarks are looked for, and what is told of them. */
export interface BenchmarkReading {
  /** Absent = the folder that CADA_DATA names, and the cache. */
  places?: BenchmarkPlaces;
  /** What is left out; absent = it is not told. */
  note?: (line: string) => void;
}

/**
 * The files of a library without what these benchmarks repeat, and what that was (`decontamination.json`).
 * @throws CliError for a benchmark that can't be had, or where nothing would be left of a file.
 */
export async function decontaminated(
  files: Readonly<Record<string, string>>,
  suites: readonly SuiteName[],
  reading: BenchmarkReading = {},
): Promise<Record<string, string>> {
  parseLibrary(files);
  const benchmarks = await benchmarkTexts(suites, reading);
  try {
    const { files: left, found } = decontaminateLibrary(files, benchmarks);
    for (const line of toldDecontamination(found)) reading.note?.(`library.decontaminate: ${line}`);
    return { ...left, [decontaminationFile]: canonicalJson(found) };
  } catch (error) {
    throw badInput(
      `library.decontaminate: ${(error as Error).message}.`,
      'docs/evaluation.md tells what it leaves out.',
    );
  }
}

/** Tells of any text which question of these benchmarks it repeats; with none, nothing repeats. */
export async function questionFinder(
  suites: readonly SuiteName[] = [],
  reading: BenchmarkReading = {},
): Promise<(text: string) => RepeatedQuestion | undefined> {
  return repeatedQuestion(await benchmarkTexts(suites, reading));
}

export async function benchmarkTexts(
  suites: readonly SuiteName[],
  { places, note }: BenchmarkReading,
): Promise<BenchmarkTexts[]> {
  const benchmarks: BenchmarkTexts[] = [];
  for (const suite of suites)
    benchmarks.push(suiteTexts(suite, await readSuite(suite, places ?? usualPlaces(), note ?? (() => {}))));
  return benchmarks;
}

export const usualPlaces = (): BenchmarkPlaces => ({
  data: process.env['CADA_DATA'] || undefined,
  cache: cadaCache(),
});
