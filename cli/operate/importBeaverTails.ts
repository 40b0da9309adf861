/** Makes a library folder whose harmful requests are BeaverTails' and everything else the shipped library's. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { storedReplies } from '../../activities/endpointJudge.ts';
import { openKeyedEndpoint } from '../../activities/endpointPool.ts';
import type { EndpointSettings } from '../../alignment/configuration/endpoint.ts';
import { nativeHazard } from '../../alignment/library/beaverTails/categories.ts';
import {
  chooseRequests,
  enoughOf,
  type ChosenRequests,
  type ClassifiedPrompt,
} from '../../alignment/library/beaverTails/chooseRequests.ts';
import {
  classifierQuestion,
  hazardDefinitions,
  readCategory,
} from '../../alignment/library/beaverTails/classifierQuestion.ts';
import { promptKey, unsafePrompts, type UnsafePrompt } from '../../alignment/library/beaverTails/rows.ts';
import { requestSplits, type Library } from '../../alignment/library/library.ts';
import { parseLibrary, requestFile } from '../../alignment/library/parseLibrary.ts';
import { seededOrder } from '../../alignment/randomness/seededRandom.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { EndpointError } from '../../infra/endpoints/chatEndpoint.ts';
import { askKept, newTally, questionDigest } from '../../infra/endpoints/keptReplies.ts';
import { badInput } from '../errors.ts';
import { readBeaverTails } from './beaverTailsFiles.ts';
import { libraryCard } from './beaverTailsCard.ts';
import { readLibraryFiles } from './libraryFiles.ts';
import { requireFree, writeWhole } from './newFolder.ts';

export const classifierKeyVariable = 'CADA_CLASSIFIER_API_KEY';

export interface ImportRequest {
  files: string[];
  out: string;
  /** Absent = by the mapping of BeaverTails' own categories. */
  classifier?: EndpointSettings;
  /** Where the classifier's replies are kept. */
  store?: ArtifactStore;
  rows: number;
  perHazard: number;
  seed: number;
}

export interface ImportResult {
  out: string;
  inputs: { name: string; sha256: string; rows: number }[];
  /** Rows that are unsafe, and the different prompts among them. */
  unsafeRows: number;
  prompts: number;
  counts: ChosenRequests['counts'];
  training: number;
  /** Prompts that were told to be no hazard, or could not be told; those that were never looked at are in neither. */
  leftOut: Record<string, number>;
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
  const prompts = withoutShipped(unsafePrompts(rows), library);
  if (prompts.length === 0) throw badInput('None of the rows is unsafe.', 'Give the training part of BeaverTails.');
  const { classified, leftOut } = request.classifier
    ? await byEndpoint(prompts, library, request, report)
    : natively(prompts);
  const settings = { rows: request.rows, perHazard: request.perHazard, seed: String(request.seed) };
  const hazards = hazardDefinitions(library).map(({ hazard }) => hazard);
  const { requests, counts } = chooseRequests(classified, { ...settings, hazards });
  if (requests.training.length === 0) throw badInput('No unsafe prompt is about any of the hazards of the library.');
  const result: ImportResult = {
    out,
    inputs: read.map(({ name, sha256, rows: own }) => ({ name, sha256, rows: own.length })),
    unsafeRows: rows.filter(({ is_safe }) => !is_safe).length,
    ...{ prompts: prompts.length, counts, training: requests.training.length, leftOut },
    classifier: request.classifier ? `the model ${request.classifier.model}` : 'the mapping of its own 14 categories',
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

/** A prompt that the shipped library has too would stand in two splits, or in a case. */
function withoutShipped(prompts: readonly UnsafePrompt[], { requests, cases }: Library): UnsafePrompt[] {
  const known = [...requestSplits.flatMap((split) => requests[split]), ...cases];
  const shipped = new Set(known.map(({ request }) => promptKey(request)));
  return prompts.filter(({ prompt }) => !shipped.has(promptKey(prompt)));
}

interface Classified {
  classified: ClassifiedPrompt[];
  leftOut: Record<string, number>;
}

function natively(prompts: readonly UnsafePrompt[]): Classified {
  const all = prompts.map(({ prompt, category }) => ({ prompt, hazard: nativeHazard(category) }));
  const other = all.filter(({ hazard }) => hazard === 'other').length;
  return { classified: all.filter(({ hazard }) => hazard !== 'other'), leftOut: { other } };
}

/** Prompts asked about together; whether there are enough is looked at between. */
const together = 64;
/** Share of replies that may not be readable. */
const mostUnread = 0.2;
const longestReply = 64;

/** In the order of the seed, until each hazard has enough or all are asked: a few hundred to all of them. */
async function byEndpoint(
  prompts: readonly UnsafePrompt[],
  library: Library,
  { classifier, store, seed, perHazard }: ImportRequest,
  report: (line: string) => void,
): Promise<Classified> {
  const hazards = hazardDefinitions(library);
  const endpoint = openKeyedEndpoint(classifier!, classifierKeyVariable);
  const cache = storedReplies(store!, 'replies');
  const tally = newTally();
  const tell = async (prompt: string): Promise<string> => {
    const question = { ...classifierQuestion(prompt, hazards), temperature: 0, maxTokens: longestReply };
    // One that can not be read is asked for once more.
    for (const attempt of [0, 1]) {
      const digest = questionDigest(classifier!.model, question, 0, attempt);
      const { text } = await askKept({ endpoint, cache }, question, digest, tally);
      const category = readCategory(text, hazards);
      if (category !== undefined) return category;
    }
    return 'unreadable';
  };
  const found: ClassifiedPrompt[] = [];
  const order = seededOrder(prompts, ({ prompt }) => promptKey(prompt), `${seed}/beavertails`);
  const isShort = (): boolean =>
    hazards.some(({ hazard }) => found.filter((one) => one.hazard === hazard).length < enoughOf({ perHazard }));
  try {
    for (let start = 0; start < order.length && isShort(); start += together) {
      const batch = order.slice(start, start + together);
      found.push(...(await Promise.all(batch.map(async ({ prompt }) => ({ prompt, hazard: await tell(prompt) })))));
      report(`${found.length} of ${order.length} prompts told (${tally.asked} asked, ${tally.kept} known)`);
    }
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error;
    throw badInput(
      `The classifier can not go on: ${error.message}.`,
      'What it has told is kept: the same command goes on from there.',
    );
  }
  const counts = { other: 0, safe: 0, unreadable: 0 };
  for (const { hazard } of found) if (hazard in counts) counts[hazard as keyof typeof counts] += 1;
  if (counts.unreadable > mostUnread * found.length) {
    throw badInput(
      `${counts.unreadable} of ${found.length} replies of the classifier name no category.`,
      'Take another model, or --classify native.',
    );
  }
  return { classified: found.filter(({ hazard }) => !(hazard in counts)), leftOut: counts };
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
