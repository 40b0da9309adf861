/** Files of drafted cases on this machine, and the library that approved ones are added to. */
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { admitDrafts, type Admission } from '../../alignment/cases/drafts/admitDrafts.ts';
import {
  formatDraftFile,
  parseDraftFile,
  reviewed,
  stateOf,
  type CaseDraft,
  type CaseDraftFile,
} from '../../alignment/cases/drafts/caseDrafts.ts';
import type { DraftRequest } from '../../alignment/cases/drafts/draftRequests.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { badInput } from '../errors.ts';
import { packageRoot } from '../packageRoot.ts';
import { readLibraryFiles } from './libraryFiles.ts';

export async function readDrafts(path: string): Promise<CaseDraftFile> {
  const content = await readFile(path, 'utf8').catch((error: Error) => {
    throw badInput(`The drafts cannot be read: ${error.message}`, '`cada cases draft` writes such a file.');
  });
  try {
    return parseDraftFile(content);
  } catch (error) {
    throw badInput(`${path} ${(error as Error).message}.`, 'Correct it, or draft the cases again.');
  }
}

/** Whole or not at all. */
export async function saveDrafts(path: string, file: CaseDraftFile): Promise<void> {
  await replaceFile(path, formatDraftFile(file));
}

async function replaceFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${process.pid}.partial`;
  await writeFile(temporary, content);
  await rename(temporary, path);
}

/**
 * Writes newly made drafts. A file that is there keeps its reviews where it is of the same drafting.
 * @returns whether reviews were kept.
 */
export async function saveNewDrafts(path: string, file: CaseDraftFile): Promise<{ keptReviews: number }> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  const before = exists ? await readDrafts(path) : undefined;
  if (before && before.provenance.drafting !== file.provenance.drafting)
    throw badInput(
      `${path} holds drafts of another drafting (${before.provenance.drafting}); these are of ${file.provenance.drafting}.`,
      'Name another file with --out; what was drafted is kept in the store.',
    );
  const reviews = new Map(before?.drafts.map(({ id, review }) => [id, review]));
  const drafts = file.drafts.map((draft): CaseDraft => {
    const review = reviews.get(draft.id);
    return review ? { ...draft, review } : draft;
  });
  await saveDrafts(path, { ...file, drafts });
  return { keptReviews: drafts.filter(({ review }) => review !== undefined).length };
}

/** @throws CliError for ids that are none. */
export function decide(
  file: CaseDraftFile,
  decision: 'approved' | 'rejected',
  which: 'all' | readonly string[],
  { at, by }: { at: string; by: string | undefined },
): CaseDraftFile {
  if (which !== 'all') {
    const known = new Set(file.drafts.map(({ id }) => id));
    const unknown = which.filter((id) => !known.has(id));
    if (unknown.length > 0)
      throw badInput(`There is no draft ${unknown.map((id) => `"${id}"`).join(', ')}.`, '`--list` shows their ids.');
  }
  // "all" is all that nobody has decided yet, or that was changed since.
  const meant = (draft: CaseDraft): boolean =>
    which === 'all' ? ['open', 'changed'].includes(stateOf(draft)) : which.includes(draft.id);
  return { ...file, drafts: file.drafts.map((draft) => (meant(draft) ? reviewed(draft, decision, at, by) : draft)) };
}

/** Requests whose cases are to be drafted, as `cada cases draft --from` reads them. */
export async function saveDraftRequests(path: string, requests: readonly DraftRequest[]): Promise<void> {
  await replaceFile(path, linesOf(requests));
}

export interface AddedCases extends Admission {
  file: string;
}

/**
 * Appends approved drafts to a library's cases, and what they come from to `cases/versions.jsonl`.
 * @param leaveOut add the others where some must not be added, in place of adding none
 * @throws CliError (bad input) where there is nothing to add, or a draft must not be added; the library is untouched then
 */
export async function addApproved(
  path: string,
  folder: string,
  { leaveOut, at }: { leaveOut: boolean; at: string },
): Promise<AddedCases> {
  const file = await readDrafts(path);
  const files = await readLibraryFiles({ path: folder });
  const library = parseLibrary(files);
  const changed = file.drafts.filter((draft) => stateOf(draft) === 'changed');
  if (changed.length > 0)
    throw badInput(
      `${namesOf(changed)} changed after the review.`,
      'Review them again (`cada cases review`): an approval holds for what was seen.',
    );
  const approved = file.drafts.filter((draft) => stateOf(draft) === 'approved');
  if (approved.length === 0) throw badInput('No draft is approved.', 'Review them first: `cada cases review`.');
  let admission: Admission;
  try {
    admission = admitDrafts(approved, library);
  } catch (error) {
    throw badInput(`${path}: ${(error as Error).message}.`, 'Name pairs in the file of requests, one of each label.');
  }
  const { refused, unpaired, cases } = admission;
  if (refused.length > 0 && !leaveOut)
    throw badInput(
      `Nothing was added. ${refused.map(({ id, why }) => `Draft "${id}" must not be: ${why}`).join('. ')}.`,
      'Reject them, or give --leave-out to add the others.',
    );
  if (cases.length === 0)
    throw badInput(
      `Nothing was added: no pair is whole${unpaired.length === 0 ? '' : ` (alone: ${unpaired.join(', ')})`}.`,
      'A pair needs a harmful and a harmless draft of one category: draft and approve the other side too.',
    );
  const place = 'cases/cases.jsonl';
  const before = files[place]!;
  const after = `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${linesOf(cases)}`;
  // What would not be read again is not written.
  parseLibrary({ ...files, [place]: after });
  // First what they come from: a version that an interruption has left without its cases is taken back by the next.
  const versions = [...versionsBefore(files, admission.version), versionOf(file, approved, admission, at)];
  await replaceFile(join(folder, versionsFile), linesOf(versions));
  await replaceFile(join(folder, place), after);
  return { ...admission, file: join(folder, place) };
}

const versionsFile = 'cases/versions.jsonl';

/** Of the versions that the library's cases have reached. */
function versionsBefore(files: Readonly<Record<string, string>>, version: number): { version: number }[] {
  try {
    const lines = (files[versionsFile] ?? '').split('\n').filter((line) => line.trim() !== '');
    return lines.map((line) => JSON.parse(line) as { version: number }).filter((one) => one.version < version);
  } catch (error) {
    throw badInput(
      `${versionsFile} of the library: ${(error as Error).message}`,
      'Correct it, one JSON object a line.',
    );
  }
}

/** What a version of the cases comes from. */
function versionOf(file: CaseDraftFile, approved: CaseDraft[], { version, cases }: Admission, at: string): object {
  const by = [...new Set(approved.flatMap(({ review }) => review?.by ?? []))].sort();
  return {
    version,
    at,
    cases: cases.map(({ id }) => id),
    approvedBy: by,
    drafts: sha256(formatDraftFile(file)),
    provenance: file.provenance,
  };
}

/** The library that ships with CADA is nobody's to change but its authors', and an update would undo it. */
export function requireOwnLibrary(folder: string): void {
  const shipped = join(packageRoot(), 'library');
  if ((folder === shipped || folder.startsWith(shipped + sep)) && packageRoot().includes('node_modules'))
    throw badInput(
      'The library that ships with CADA is replaced by each update.',
      'Copy it, name the copy with --library, and with library.path in your configurations.',
    );
}

const linesOf = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

const namesOf = (drafts: readonly CaseDraft[]): string =>
  `${drafts.length === 1 ? 'Draft' : 'Drafts'} ${drafts.map(({ id }) => `"${id}"`).join(', ')}`;
