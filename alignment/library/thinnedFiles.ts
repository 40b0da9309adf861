/** The files of a library that a policy is trained on, chosen by or shown, and how some of their lines are left out. */
import { requestFile } from './parseLibrary.ts';

export const caseFile = 'cases/cases.jsonl';

/** The held-out requests are none of them: they are what tells. */
export const shownFiles = [caseFile, requestFile('training'), requestFile('development')] as const;

/** Blank lines go too: the lines that stay are those of the file, byte for byte. */
export function keepLines(content: string, isKept: (row: unknown) => boolean): string {
  const lines = content.split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.flatMap((line) => (isKept(JSON.parse(line)) ? [`${line}\n`] : [])).join('');
}

/** @throws Error where nothing is left of a file that held something. */
export function requireSome(path: string, content: string, before: string, remedy: string): void {
  if (content === '' && before.trim() !== '') throw new Error(`nothing is left of ${path}: ${remedy}`);
}
