/** Public benchmarks that a run is evaluated on: found in `CADA_DATA` or the cache, else fetched. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import type { BenchmarkName, SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { benchmarks, type BenchmarkFile, type BenchmarkSource } from '../../alignment/benchmarks/benchmarks.ts';
import { parseSuite, suiteSource, type SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import { downloadFile } from '../../infra/download/downloadFile.ts';
import { AttemptFailed } from '../../infra/processes/childAttempt.ts';
import { badEnvironment, badInput, type CliError } from '../errors.ts';

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
    let found: FoundFile[];
    try {
      found = await findAll(benchmarks[name], places);
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
      throw notAsPublished(title, found, error);
    }
  }
  return files;
}

/** The benchmarks that a run began with: it keeps to them, whatever can be had later. */
export function benchmarksIn(libraryFiles: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(libraryFiles).filter(([path]) => path.startsWith(benchmarkFolder)));
}

/**
 * All questions of a suite. A copy of one's own that is not the file whose digest is known is told through `note`: copies differ, and their columns are
 * checked all the same.
 * @throws CliError naming the file that can't be had, and where to put it, or that is not as published.
 */
export async function readSuite(
  suite: SuiteName,
  places: BenchmarkPlaces,
  note: (line: string) => void,
): Promise<SuiteQuestion[]> {
  const { title, gated, files } = suiteSource(suite);
  let found: FoundFile[];
  try {
    found = await findAll(suiteSource(suite), places);
  } catch (error) {
    if (!(error instanceof AttemptFailed)) throw error;
    throw badEnvironment(
      `${title} could not be had: ${error.message}.`,
      `${gated ? 'Its files need an account that has agreed to its terms: set HF_TOKEN, or put' : 'Put'} them into a folder named by --data or CADA_DATA: ${files.map(({ paths }) => paths[0]).join(', ')}.`,
      error,
    );
  }
  for (const { path, otherDigest } of found) {
    if (otherDigest !== undefined) note(`${path} is another copy of ${title} (SHA-256 ${otherDigest})`);
  }
  try {
    return parseSuite(
      suite,
      found.map(({ text }) => text),
    );
  } catch (error) {
    throw notAsPublished(title, found, error);
  }
}

/** Whether all its files are on this machine. */
export function hasSuite(suite: SuiteName, places: BenchmarkPlaces): boolean {
  return suiteSource(suite).files.every((file) => localCopy(file, places) !== undefined);
}

interface FoundFile {
  path: string;
  text: string;
  /** Its digest, where another is known. */
  otherDigest?: string;
}

function notAsPublished(title: string, found: readonly FoundFile[], error: unknown): CliError {
  return badInput(
    `${found.map(({ path }) => path).join(' or ')} is not ${title} as it was published: ${(error as Error).message}.`,
    'Remove the file, so that it is fetched again, or take the benchmark out of evaluation.benchmarks.',
  );
}

async function findAll({ files, gated }: BenchmarkSource, places: BenchmarkPlaces): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  for (const file of files) found.push(await findOrFetch(file, places, gated === true));
  return found;
}

async function findOrFetch(
  { paths, url, sha256, archive }: BenchmarkFile,
  { data, cache }: BenchmarkPlaces,
  gated: boolean,
): Promise<FoundFile> {
  const read = async (path: string): Promise<FoundFile> => {
    const bytes = await readFile(path);
    const digest = createHash('sha256').update(bytes).digest('hex');
    return {
      path,
      text: archive ? unpack(bytes) : bytes.toString('utf8'),
      ...(sha256 === undefined || digest === sha256 ? {} : { otherDigest: digest }),
    };
  };
  const local = localCopy({ paths }, { data, cache });
  if (local !== undefined) return read(local);
  const cached = cachedPath(paths, cache);
  const token = gated ? process.env['HF_TOKEN'] : undefined;
  await downloadFile({
    url,
    path: cached,
    ...(sha256 ? { digest: { algorithm: 'sha256', hex: sha256 } } : {}),
    ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
  });
  return read(cached);
}

function localCopy({ paths }: Pick<BenchmarkFile, 'paths'>, { data, cache }: BenchmarkPlaces): string | undefined {
  return [...(data ? paths.map((path) => join(data, path)) : []), cachedPath(paths, cache)].find((path) =>
    existsSync(path),
  );
}

const cachedPath = (paths: readonly string[], cache: string): string => join(cache, 'data', paths[0]!);

/** The text files of a zip archive, as one JSON object: path -> text. */
function unpack(bytes: Uint8Array): string {
  const files = unzipSync(bytes, { filter: ({ name }) => name.endsWith('.csv') });
  return JSON.stringify(Object.fromEntries(Object.entries(files).map(([path, content]) => [path, strFromU8(content)])));
}
