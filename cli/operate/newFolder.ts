/** Folders that a command makes: whole or not at all, and never over what is there. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { badInput } from '../errors.ts';

/** @throws CliError unless the folder is empty or not there. */
export async function requireFree(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    const what = code === 'ENOTDIR' ? 'is a file, not a folder' : `can not be written: ${message}`;
    throw badInput(`${folder} ${what}.`, 'Name another folder with --out.');
  }
  if (names.length > 0)
    throw badInput(`The folder ${folder} is not empty.`, 'Name another with --out, or remove what is in it.');
}

/**
 * Has a folder written beside its place, then moved there; an empty folder is in the way of none.
 * @throws where somebody else has put something there meanwhile; nothing of theirs is touched.
 */
export async function writeWhole<Made>(folder: string, write: (begun: string) => Promise<Made>): Promise<Made> {
  await mkdir(dirname(folder), { recursive: true });
  const begun = `${folder}.${process.pid}.partial`;
  try {
    await mkdir(begun);
    const made = await write(begun);
    await rename(begun, folder);
    return made;
  } finally {
    await rm(begun, { recursive: true, force: true });
  }
}
