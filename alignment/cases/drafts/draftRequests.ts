/** Labelled requests that cases are drafted for. */
import type { RepeatedQuestion } from '../../benchmarks/decontaminate.ts';
import { z } from 'zod';
import { requestSplits, type Library, type SafetyRequest } from '../../library/library.ts';
import { isNearDuplicate } from '../../library/nearDuplicates.ts';
import { LibraryError } from '../../library/libraryError.ts';
import { parseLines } from '../../library/parseLines.ts';
import { requestSchema } from '../../library/parseLibrary.ts';

export interface DraftRequest extends SafetyRequest {
  /** Shared by the two sides of a contrast pair. */
  pair?: string | undefined;
}

const draftRequestSchema = requestSchema.extend({ pair: z.string().trim().min(1, 'is empty').optional() });

/**
 * JSON Lines as the library's requests are, with an optional `pair`.
 * @throws LibraryError naming file and line.
 */
export function parseDraftRequests(file: string, content: string): DraftRequest[] {
  return parseLines<DraftRequest>(file, content, draftRequestSchema).map(({ value, place }) => {
    if ((value.label === 'harmful') !== (value.kind === 'harmful'))
      throw new LibraryError(
        place,
        `request "${value.id}" is labelled ${value.label}, but its kind is "${value.kind}"`,
        'The kind of a harmful request is "harmful", that of a harmless one "plain" or "look-alike".',
      );
    return value;
  });
}

export interface SkippedRequest {
  id: string;
  why: string;
}

/**
 * Leaves out what could never be a case of this library: requests that are one already in other words, and those of another request that figures are
 * made of (development, held-out, benchmarks).
 */
export function draftable(
  requests: readonly DraftRequest[],
  library: Library,
  repeats: (text: string) => RepeatedQuestion | undefined = () => undefined,
): { requests: DraftRequest[]; skipped: SkippedRequest[] } {
  const skipped: SkippedRequest[] = [];
  const usable = requests.filter(({ id, request }) => {
    const question = repeats(request);
    const why = question
      ? `it repeats question "${question.question}" of ${question.benchmark}`
      : conflictWith(request, library);
    if (why !== undefined) skipped.push({ id, why });
    return why === undefined;
  });
  return { requests: usable, skipped };
}

/** What of the library forbids this request as that of a new case; undefined = nothing. */
export function conflictWith(request: string, library: Library): string | undefined {
  const isIt = (one: { request: string }): boolean => isNearDuplicate(one.request, request);
  const known = library.cases.find(isIt);
  return known ? `the library has it as case "${known.id}"` : evaluatedOn(request, library);
}

/** Which request that figures are made of says the same; undefined = none. */
export function evaluatedOn(request: string, library: Library): string | undefined {
  const isIt = (one: { request: string }): boolean => isNearDuplicate(one.request, request);
  for (const split of requestSplits) {
    if (split === 'training') continue;
    const evaluated = library.requests[split].find(isIt);
    if (evaluated) return `it is evaluated on: request "${evaluated.id}" of requests/${split}.jsonl`;
  }
  for (const [name, ofBenchmark] of Object.entries(library.benchmarks)) {
    const evaluated = ofBenchmark.find(isIt);
    if (evaluated) return `it is evaluated on: request "${evaluated.id}" of the benchmark ${name}`;
  }
  return undefined;
}
