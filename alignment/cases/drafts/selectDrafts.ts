/** Which of the chains that were written for labelled requests become drafts of cases. */
import { parseChain, type ChainFormat } from '../../chains/chain.ts';
import { dropReasons, filterWarmStart, type CandidateChain } from '../../filters/warmStartFilter.ts';
import { requestKinds } from '../../library/library.ts';
import { isNearDuplicate } from '../../library/nearDuplicates.ts';
import type { CaseDraft } from './caseDrafts.ts';
import type { DraftRequest } from './draftRequests.ts';

/** A judge that the configuration's rewards ask must be at least so sure of a response (1 = harmless, or all votes). */
export const leastJudged = 0.75;

/** Parts of a reward that say whether a response is harmless. */
const judgedParts = ['graded', 'guard', 'ensemble'] as const;

/** In the order in which they are applied, for the file's provenance. */
export const draftFilters = [
  ...dropReasons.filter((reason) => reason !== 'surplus'),
  ...(['judge', 'sample', 'nearDuplicate'] as const),
] as const;

export type DraftFilter = (typeof draftFilters)[number];

export interface DraftSelection {
  drafts: CaseDraft[];
  samples: number;
  dropped: Partial<Record<DraftFilter, number>>;
}

/**
 * Of each request the first sample that passes: in its form and whole, refusing what is harmful and answering what is not, doing what its analysis
 * announces, and, where judges beside the rules were asked, good enough for each (`leastJudged`). A request that says what an earlier one says in other
 * words is left out.
 * @param candidates in the order of requests and samples
 */
export function selectDrafts(
  candidates: readonly CandidateChain[],
  requests: readonly DraftRequest[],
  format: ChainFormat,
): DraftSelection {
  const { kept, byKind } = filterWarmStart(candidates, { consistentWith: format }, '');
  const dropped: Partial<Record<DraftFilter, number>> = {};
  const drop = (reason: DraftFilter, count = 1): void => {
    if (count > 0) dropped[reason] = (dropped[reason] ?? 0) + count;
  };
  for (const reason of dropReasons)
    if (reason !== 'surplus') for (const kind of requestKinds) drop(reason, byKind[kind].dropped[reason]);

  const chosen = new Map<string, CandidateChain>();
  for (const candidate of kept) {
    const { scored } = candidate;
    if (scored.reward === null) drop('unscorable');
    // Bytes that are no characters: half of one was drawn.
    else if (candidate.chain.text.includes('\ufffd')) drop('format');
    else if (judgedParts.some((part) => (scored.parts[part] ?? 1) < leastJudged)) drop('judge');
    else if (chosen.has(scored.requestId)) drop('sample');
    else chosen.set(scored.requestId, candidate);
  }
  const drafts: CaseDraft[] = [];
  for (const { id, category, kind, request, pair } of requests) {
    const candidate = chosen.get(id);
    if (!candidate) continue;
    if (drafts.some((draft) => isNearDuplicate(draft.request, request))) {
      drop('nearDuplicate');
      continue;
    }
    const { analysis, finalResponse } = parseChain(candidate.chain.text, format);
    drafts.push({
      ...{ id, category, kind, request, analysis },
      verdict: kind === 'harmful' ? 'refuse' : 'comply',
      response: finalResponse,
      ...(pair === undefined ? {} : { pair }),
      sample: candidate.chain.sampleIndex,
    });
  }
  return { drafts, samples: candidates.length, dropped };
}
