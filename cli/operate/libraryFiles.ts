/** Reads the files of a library: the one that ships with CADA, one of its domains, or the user's folder. */
import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { LibrarySettings } from '../../alignment/configuration/library.ts';
import { LibraryError } from '../../alignment/library/libraryError.ts';
import { withholdHazards } from '../../alignment/library/withholdHazards.ts';
import { badInput } from '../errors.ts';
import { packageRoot } from '../packageRoot.ts';
import { decontaminated, type BenchmarkReading } from './decontaminatedLibrary.ts';

const mostBytes = 20 * 1024 * 1024;

/** Below a library's folder: libraries of their own, no part of it. */
const domains = 'domains/';
const judges = 'judges/';

/** Path below the folder (with `/`) -> text, of every `.md`, `.jsonl` and `.json` file. Where a library has no judges, those that ship with CADA. */
export async function readLibraryFiles(library: LibraryPlace = {}): Promise<Record<string, string>> {
  const folder = libraryFolder(library);
  const names = (await namesIn(folder)).filter((name) => !name.startsWith(domains));
  const files = await textsOf(folder, names);
  if (names.some((name) => name.startsWith(judges))) return files;
  const shipped = libraryFolder({});
  return {
    ...files,
    ...(await textsOf(
      shipped,
      (await namesIn(shipped)).filter((name) => name.startsWith(judges)),
    )),
  };
}

/** A folder of the user's, or a domain that ships; neither = the general library. */
export type LibraryPlace = Pick<LibrarySettings, 'path' | 'domain'>;

function libraryFolder({ path, domain }: LibraryPlace): string {
  if (path !== undefined) return path;
  const shipped = join(packageRoot(), 'library');
  return domain === undefined ? shipped : join(shipped, domains, domain);
}

/** Paths with `/`, in their order. */
async function namesIn(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder, { recursive: true });
  } catch (error) {
    throw badInput(
      `The library folder ${folder} cannot be read: ${(error as Error).message}`,
      'Mend library.path in the configuration.',
    );
  }
  return names
    .filter((name) => /\.(md|jsonl|json)$/.test(name))
    .map((name) => name.split(sep).join('/'))
    .sort();
}

async function textsOf(folder: string, names: readonly string[]): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  let bytes = 0;
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8');
    bytes += text.length;
    if (bytes > mostBytes)
      throw badInput(
        `The library folder ${folder} holds more than ${mostBytes / 2 ** 20} MiB.`,
        'Is library.path the folder that was meant?',
      );
    files[name] = text;
  }
  return files;
}

/**
 * The library as a configuration has it: without the hazards that it withholds, and without what the benchmarks repeat that it is held against.
 * @throws CliError, LibraryError for a hazard that the library does not know, a benchmark that can't be had, or where nothing would be left to train on.
 */
export async function readRunLibrary(
  { withhold, decontaminate, ...place }: LibrarySettings,
  reading: BenchmarkReading = {},
): Promise<Record<string, string>> {
  const files = withoutHazards(await readLibraryFiles(place), withhold);
  return decontaminate ? decontaminated(files, decontaminate, reading) : files;
}

function withoutHazards(files: Record<string, string>, withhold: readonly string[] = []): Record<string, string> {
  try {
    return withholdHazards(files, withhold);
  } catch (error) {
    if (error instanceof LibraryError) throw error;
    throw badInput(`library.withhold: ${(error as Error).message}.`, 'docs/evaluation.md tells what it leaves out.');
  }
}
