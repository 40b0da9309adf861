/** Public benchmarks that a run is evaluated on: found in `CADA_DATA` or the cache, else fetched. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchmarkName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { benchmarks, type BenchmarkFile } from '../../alignment/benchmarks/benchmarks.ts';
import { downloadFile } from '../../infra/download/downloadFile.ts';
import { AttemptFailed } from '../../infra/processes/childAttempt.ts';
import { badInput } from '../errors.ts';

export interface BenchmarkPlaces {
  /** Folder of the user's own copies; absent = none. */
  data: string | undefined;
  /** Downloads live here. */
  cache: string;
}

const benchmarkFolder = 'benchmarks/';

/**
 * Library files (`benchmarks/<name>.jsonl`) of the benchmarks that can be had. One that can't be is told through `note` and left out: the run is worth
 * having without it, and its report says that the figure is missing.
 * @throws CliError naming the file of a benchmark that is there and can't be read.
 */
export async function readBenchmarks(
  names: readonly BenchmarkName[],
  places: BenchmarkPlaces,
  note: (line: string) => void,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of names) {
    const { title, parse, files: wanted } = benchmarks[name];
    const found: { path: string; text: string }[] = [];
    try {
      for (const file of wanted) found.push(await findOrFetch(file, places));
    } catch (error) {
      if (!(error instanceof AttemptFailed)) throw error;
      note(
        `${title} could not be had (${error.message}): the run is not evaluated on it. Put its files into a folder named by CADA_DATA: ${wanted.map(({ paths }) => paths[0]).join(', ')}.`,
      );
      continue;
    }
    try {
      const requests = parse(found.map(({ text }) => text));
      files[`${benchmarkFolder}${name}.jsonl`] = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
    } catch (error) {
      throw badInput(
        `${found.map(({ path }) => path).join(' or ')} is not ${title} as it was published: ${(error as Error).message}.`,
        'Remove the file, so that it is fetched again, or take the benchmark out of evaluation.benchmarks.',
      );
    }
  }
  return files;
}

/** The benchmarks that a run began with: it keeps to them, whatever can be had later. */
export function benchmarksIn(libraryFiles: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(libraryFiles).filter(([path]) => path.startsWith(benchmarkFolder)));
}

async function findOrFetch(
  { paths, url, sha256 }: BenchmarkFile,
  { data, cache }: BenchmarkPlaces,
): Promise<{ path: string; text: string }> {
  const cached = join(cache, 'data', paths[0]!);
  const places = [...(data ? paths.map((path) => join(data, path)) : []), cached];
  for (const path of places) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return { path, text };
  }
  await downloadFile({ url, path: cached, ...(sha256 ? { digest: { algorithm: 'sha256', hex: sha256 } } : {}) });
  return { path: cached, text: await readFile(cached, 'utf8') };
}
