/**
 * How cases are chosen and ordered (docs/cases.md). Everything beside `sampling` is optional, so that configurations that set nothing of it keep their digest;
 * `similaritySettings` is the one place with the defaults.
 */
import { z } from 'zod';

export const caseSamplings = ['category', 'random', 'fixed', 'similarity', 'none'] as const;
export type CaseSampling = (typeof caseSamplings)[number];

export const caseOrders = ['random', 'nearestFirst', 'nearestLast'] as const;
export type CaseOrder = (typeof caseOrders)[number];

const similaritySchema = z.strictObject({
  by: z
    .enum(['bm25', 'embeddings'])
    .optional()
    .describe(
      "`bm25`: shared words (Okapi BM25 over the requests of the library's cases); `embeddings`: cosine of the untouched policy's mean last hidden states. Absent = `bm25`.",
    ),
  k1: z
    .number()
    .min(0)
    .optional()
    .describe('BM25: how much a word counts that is said again; 0 = once is enough. Absent = 1.2.'),
  b: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('BM25: how much long requests lose; 0 = nothing, 1 = in proportion to their length. Absent = 0.75.'),
});

/** Fields of `cases` in a configuration, and of an inference arm written as a mapping. */
export const caseSamplingFields = {
  similarity: similaritySchema
    .optional()
    .describe('What makes a case near to a request: for sampling `similarity` and the orders by nearness.'),
  order: z
    .enum(caseOrders)
    .optional()
    .describe(
      'Order of the chosen pairs in the prompt: `random` (for each request), `nearestFirst`, `nearestLast` (next to the request). Absent = that in which they are chosen: with sampling `similarity` the nearest first.',
    ),
};

export interface CaseSamplingSettings {
  sampling: CaseSampling;
  similarity?: z.infer<typeof similaritySchema> | undefined;
  order?: CaseOrder | undefined;
}

export interface Bm25Settings {
  k1: number;
  b: number;
}

/** k1 and b as in Lucene. */
export function similaritySettings({ similarity }: CaseSamplingSettings): Bm25Settings & { by: 'bm25' | 'embeddings' } {
  return { by: similarity?.by ?? 'bm25', k1: similarity?.k1 ?? 1.2, b: similarity?.b ?? 0.75 };
}

/** Whether the choice or the order asks how near a case is. */
export function usesSimilarity({ sampling, order }: CaseSamplingSettings): boolean {
  return sampling === 'similarity' || (sampling !== 'none' && (order === 'nearestFirst' || order === 'nearestLast'));
}

/** Whether vectors must be computed before cases can be chosen. */
export function usesEmbeddings(settings: CaseSamplingSettings & { count: number }): boolean {
  return settings.count > 0 && usesSimilarity(settings) && similaritySettings(settings).by === 'embeddings';
}

interface CaseSamplingProblem {
  key: 'sampling' | 'similarity' | 'order';
  message: string;
}

/** Settings without effect, by their key. */
export function caseSamplingProblems(settings: CaseSamplingSettings): CaseSamplingProblem[] {
  const { sampling, similarity, order } = settings;
  const problems: CaseSamplingProblem[] = [];
  if (sampling === 'none' && order !== undefined)
    problems.push({ key: 'order', message: "sampling 'none' shows no cases to be ordered: leave it out" });
  if (similarity !== undefined && !usesSimilarity(settings)) {
    const message =
      "is only read by sampling 'similarity' and by the orders nearestFirst and nearestLast: leave it out";
    problems.push({ key: 'similarity', message });
  } else if (similarity?.by === 'embeddings' && (similarity.k1 ?? similarity.b) !== undefined) {
    problems.push({ key: 'similarity', message: "k1 and b are settings of bm25: leave them out with 'embeddings'" });
  }
  return problems;
}

/** Guidance that would be nothing at all. */
export function emptyGuidanceProblems({
  cases,
  iteration,
}: {
  cases: CaseSamplingSettings & { codes: string };
  iteration: { guidance: string };
}): CaseSamplingProblem[] {
  if (cases.sampling !== 'none' || cases.codes !== 'none' || iteration.guidance === 'raw') return [];
  const message = `iteration.guidance '${iteration.guidance}' puts codes and cases into the prompt, but there are neither: choose another sampling or other codes, or guidance 'raw'`;
  return [{ key: 'sampling', message }];
}
