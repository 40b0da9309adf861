/** Reads the files of a library folder: the one that ships with CADA, or the user's. */
import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
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
