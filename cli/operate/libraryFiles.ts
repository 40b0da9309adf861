/** Reads the files of a library folder: the one that ships with CADA, or the user's. */
import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { LibraryError } from '../../alignment/library/libraryError.ts';
import { withholdHazards } from '../../alignment/library/withholdHazards.ts';
import { packageRoot } from '../packageRoot.ts';
import { badInput } from '../errors.ts';

const mostBytes = 20 * 1024 * 1024;

/** Path below the folder (with `/`) -> text, of every `.md`, `.jsonl` and `.json` file. */
export async function readLibraryFiles(path: string | undefined): Promise<Record<string, string>> {
  const folder = path ?? join(packageRoot(), 'library');
  let names: string[];
  try {
    names = await readdir(folder, { recursive: true });
  } catch (error) {
    throw badInput(
      `The library folder ${folder} cannot be read: ${(error as Error).message}`,
      'Mend library.path in the configuration.',
    );
  }
  const files: Record<string, string> = {};
  let bytes = 0;
  for (const name of names.sort()) {
    if (!/\.(md|jsonl|json)$/.test(name)) continue;
    const text = await readFile(join(folder, name), 'utf8');
    bytes += text.length;
    if (bytes > mostBytes)
      throw badInput(
        `The library folder ${folder} holds more than ${mostBytes / 2 ** 20} MiB.`,
        'Is library.path the folder that was meant?',
      );
    files[name.split(sep).join('/')] = text;
  }
  return files;
}

/**
 * The library as a configuration has it: without the hazards that it withholds.
 * @throws CliError, LibraryError for a hazard that the library does not know, or where nothing would be left to train on.
 */
export async function readRunLibrary({
  path,
  withhold = [],
}: Configuration['library']): Promise<Record<string, string>> {
  const files = await readLibraryFiles(path);
  try {
    return withholdHazards(files, withhold);
  } catch (error) {
    if (error instanceof LibraryError) throw error;
    throw badInput(`library.withhold: ${(error as Error).message}.`, 'docs/evaluation.md tells what it leaves out.');
  }
}
