/** A file of drafted cases: what was written, from what, by whom, and what a reviewer says of each. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { describeIssues } from '../../library/parseLines.ts';
import { requestKinds } from '../../library/library.ts';

const text = z.string().trim().min(1, 'is empty');

const review = z.strictObject({
  decision: z.enum(['approved', 'rejected']),
  /** ISO time. */
  at: z.string(),
  by: z.string().optional(),
  /** Of the draft as it was reviewed: one that is changed afterwards is to be reviewed again. */
  sha256: z.string(),
});

export const caseDraftSchema = z.strictObject({
  id: text,
  category: text,
  kind: z.enum(requestKinds),
  request: text,
  analysis: text,
  verdict: z.enum(['refuse', 'comply']),
  response: text,
  /** Named by the file of requests: the other side of the pair has the same. */
  pair: text.optional(),
  /** Which of the samples of its request it is. */
  sample: z.int().min(0),
  review: review.optional(),
});

export type CaseDraft = z.infer<typeof caseDraftSchema>;

const provenanceSchema = z.looseObject({
  /** Of everything that the drafts follow from. */
  drafting: text,
  model: z.looseObject({ name: z.string(), digest: z.string(), adapterSha256: z.string().nullable() }),
});

const draftFileSchema = z.strictObject({
  format: z.literal('cada-case-drafts'),
  version: z.literal(1),
  provenance: provenanceSchema,
  counts: z.looseObject({}),
  drafts: z.array(caseDraftSchema),
});

export type CaseDraftFile = z.infer<typeof draftFileSchema>;

/** @throws Error that says what is wrong with the file. */
export function parseDraftFile(content: string): CaseDraftFile {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw new Error(`is not JSON (${(error as Error).message})`, { cause: error });
  }
  const result = draftFileSchema.safeParse(json);
  if (!result.success) throw new Error(`is no file of drafted cases: ${describeIssues(result.error)}`);
  const seen = new Set<string>();
  for (const { id } of result.data.drafts) {
    if (seen.has(id)) throw new Error(`has two drafts "${id}"`);
    seen.add(id);
  }
  return result.data;
}

export function formatDraftFile(file: CaseDraftFile): string {
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Digest of what a reviewer sees of a draft. */
export function reviewedDigest({ category, kind, request, analysis, verdict, response, pair }: CaseDraft): string {
  const seen = [category, kind, request, analysis, verdict, response, pair ?? null];
  return createHash('sha256').update(JSON.stringify(seen)).digest('hex');
}

/** `changed`: reviewed, then edited: what was said of it no longer holds. */
export type DraftState = 'open' | 'approved' | 'rejected' | 'changed';

export function stateOf(draft: CaseDraft): DraftState {
  if (!draft.review) return 'open';
  return draft.review.sha256 === reviewedDigest(draft) ? draft.review.decision : 'changed';
}

export function reviewed(
  draft: CaseDraft,
  decision: 'approved' | 'rejected',
  at: string,
  by: string | undefined,
): CaseDraft {
  const said = { decision, at, ...(by === undefined ? {} : { by }), sha256: reviewedDigest(draft) };
  return { ...draft, review: said };
}
