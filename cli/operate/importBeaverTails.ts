/** Makes a library folder whose harmful requests are BeaverTails' and everything else the shipped library's. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { nativeHazard } from '../../alignment/library/beaverTails/categories.ts';
import { chooseRequests, type ChosenRequests } from '../../alignment/library/beaverTails/chooseRequests.ts';
import { hazardDefinitions } from '../../alignment/library/beaverTails/classifierQuestion.ts';
import { promptKey, unsafePrompts, type UnsafePrompt } from '../../alignment/library/beaverTails/rows.ts';
import { requestSplits, type Library } from '../../alignment/library/library.ts';
import { parseLibrary, requestFile } from '../../alignment/library/parseLibrary.ts';
import { badInput } from '../errors.ts';
import { readBeaverTails } from './beaverTailsFiles.ts';
import { libraryCard } from './beaverTailsCard.ts';
import { questionFinder } from './decontaminatedLibrary.ts';
import { classifyPrompts, type ClassifiedPrompts, type OpenHazardClassifier } from './hazardClassifier.ts';
import { readLibraryFiles } from './libraryFiles.ts';
import { requireFree, writeWhole } from './newFolder.ts';

export interface ImportRequest {
  files: string[];
  out: string;
  /** Absent = by the mapping of BeaverTails' own categories. */
  classifier?: OpenHazardClassifier;
  rows: number;
  perHazard: number;
  seed: number;
  /** Benchmarks whose questions are left out; absent = none. */
  decontaminate?: readonly SuiteName[];
}

export interface ImportResult {
  out: string;
  inputs: { name: string; sha256: string; rows: number }[];
  /** Rows that are unsafe, and the different prompts among them. */
  unsafeRows: number;
  prompts: number;
  /** Prompts that repeat a question of a benchmark, by benchmark. */
  repeated: Record<string, number>;
  counts: ChosenRequests['counts'];
  training: number;
  leftOut: ClassifiedPrompts['leftOut'];
  classifier: string;
}

/** @throws CliError for input that is not as published, an output folder in use, an endpoint that does not answer. */
export async function importBeaverTails(request: ImportRequest, report: (line: string) => void): Promise<ImportResult> {
  const out = resolve(request.out);
  await requireFree(out);
  const read = [];
  for (const file of request.files) read.push({ name: basename(file), ...(await readBeaverTails(file)) });
  const shipped = await readLibraryFiles(undefined);
  const library = parseLibrary(shipped);
  const rows = read.flatMap((one) => one.rows);
  const { prompts, repeated } = await withoutQuestions(
    withoutShipped(unsafePrompts(rows), library),
    request.decontaminate,
    report,
  );
  if (prompts.length === 0) throw badInput('None of the rows is unsafe.', 'Give the training part of BeaverTails.');
  const { classified, leftOut, by } = await classify(prompts, library, request, report);
  const settings = { rows: request.rows, perHazard: request.perHazard, seed: String(request.seed) };
  const hazards = hazardDefinitions(library).map(({ hazard }) => hazard);
  const { requests, counts } = chooseRequests(classified, { ...settings, hazards });
  if (requests.training.length === 0) throw badInput('No unsafe prompt is about any of the hazards of the library.');
  const result: ImportResult = {
    out,
    inputs: read.map(({ name, sha256, rows: own }) => ({ name, sha256, rows: own.length })),
    unsafeRows: rows.filter(({ is_safe }) => !is_safe).length,
    ...{ prompts: prompts.length, repeated, counts, training: requests.training.length, leftOut },
    classifier: by,
  };
  const files: Record<string, string> = {};
  for (const [path, text] of Object.entries(shipped)) if (/^(codes|cases|judges)\//.test(path)) files[path] = text;
  for (const split of requestSplits) {
    const harmless = library.requests[split].filter(({ label }) => label === 'harmless');
    files[requestFile(split)] = [...requests[split], ...harmless].map((one) => `${JSON.stringify(one)}\n`).join('');
  }
  files['README.md'] = libraryCard(result, request);
  parseLibrary(files);
  await writeWhole(out, (begun) => writeFiles(begun, files));
  return result;
}

/** Before any is chosen, so that others take their place. */
async function withoutQuestions(
  prompts: readonly UnsafePrompt[],
  suites: readonly SuiteName[] = [],
  note: (line: string) => void,
): Promise<{ prompts: UnsafePrompt[]; repeated: Record<string, number> }> {
  const repeats = await questionFinder(suites, { note });
  const repeated = Object.fromEntries(suites.map((suite) => [suite, 0]));
  const left = prompts.filter(({ prompt }) => {
    const question = repeats(prompt);
    if (question) repeated[question.benchmark]! += 1;
    return !question;
  });
  return { prompts: left, repeated };
}

/** A prompt that the shipped library has too would stand in two splits, or in a case. */
function withoutShipped(prompts: readonly UnsafePrompt[], { requests, cases }: Library): UnsafePrompt[] {
  const known = [...requestSplits.flatMap((split) => requests[split]), ...cases];
  const shipped = new Set(known.map(({ request }) => promptKey(request)));
  return prompts.filter(({ prompt }) => !shipped.has(promptKey(prompt)));
}

async function classify(
  prompts: readonly UnsafePrompt[],
  library: Library,
  { classifier: open, ...settings }: ImportRequest,
  report: (line: string) => void,
): Promise<ClassifiedPrompts & { by: string }> {
  if (!open) return { ...natively(prompts), by: 'the mapping of its own 14 categories' };
  const hazards = hazardDefinitions(library);
  const classifier = await open(hazards, report);
  try {
    const texts = prompts.map(({ prompt }) => prompt);
    return { ...(await classifyPrompts(texts, hazards, classifier, settings, report)), by: classifier.name };
  } finally {
    await classifier.close();
  }
}

function natively(prompts: readonly UnsafePrompt[]): ClassifiedPrompts {
  const all = prompts.map(({ prompt, category }) => ({ prompt, hazard: nativeHazard(category) }));
  const other = all.filter(({ hazard }) => hazard === 'other').length;
  return { classified: all.filter(({ hazard }) => hazard !== 'other'), leftOut: { other } };
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
