/** What marks make of the library: chains marked right become drafts of cases, requests that were answered wrongly are to be drafted under their corrected label. */
import { parseChain, type ChainFormat, type ScoredChain } from '../chains/chain.ts';
import type { CaseDraft } from '../cases/drafts/caseDrafts.ts';
import { conflictWith, type DraftRequest, type SkippedRequest } from '../cases/drafts/draftRequests.ts';
import type { Library, RequestKind, SafetyRequest } from '../library/library.ts';
import { rightVerdict } from '../rewards/outcomeReward.ts';
import type { MarkVerdict } from './marks.ts';

export interface MarkedText {
  as: Exclude<MarkVerdict, 'none'>;
  request: SafetyRequest;
  text: string;
  scored: Pick<ScoredChain, 'sampleIndex' | 'verdict'>;
}

export interface DraftsFromMarks {
  drafts: CaseDraft[];
  /** Without a chain that is right: their case is still to be written. */
  requests: DraftRequest[];
  skipped: SkippedRequest[];
}

/** @param marked in the order in which the drafts are to stand; of several right chains of a request the first becomes its draft */
export function draftsFromMarks(marked: readonly MarkedText[], library: Library, format: ChainFormat): DraftsFromMarks {
  const found: DraftsFromMarks = { drafts: [], requests: [], skipped: [] };
  for (const [id, group] of Map.groupBy(marked, ({ request }) => request.id)) {
    const { request } = group[0]!;
    const kind = correctedKind(request.kind, new Set(group.map(({ as }) => as)));
    const why =
      kind === undefined
        ? 'its marks contradict each other: wrong-refusal says that it is harmless, harmful that it is not'
        : conflictWith(request.request, library);
    if (kind === undefined || why !== undefined) {
      found.skipped.push({ id, why: why! });
      continue;
    }
    const draft = draftOf(group, kind, format);
    if (draft) found.drafts.push(draft);
    else found.requests.push({ ...request, kind, label: kind === 'harmful' ? 'harmful' : 'harmless' });
  }
  return found;
}

/** A refusal that was wrong makes a request harmless, an answer that was harmful makes it harmful; undefined where both are said. */
function correctedKind(kind: RequestKind, said: ReadonlySet<MarkVerdict>): RequestKind | undefined {
  if (said.has('wrong-refusal') && said.has('harmful')) return undefined;
  if (said.has('harmful')) return 'harmful';
  return said.has('wrong-refusal') && kind === 'harmful' ? 'look-alike' : kind;
}

function draftOf(group: readonly MarkedText[], kind: RequestKind, format: ChainFormat): CaseDraft | undefined {
  for (const { as, request, text, scored } of group) {
    if (as !== 'right') continue;
    const { analysis, finalResponse, format: inForm } = parseChain(text, format);
    // Where the label is corrected, a chain that did right by the old one does wrong by the new one.
    const contradicts = kind !== request.kind && scored.verdict !== null && scored.verdict !== rightVerdict(kind);
    if (!inForm || contradicts) continue;
    const { id, category } = request;
    return {
      ...{ id, category, kind, request: request.request, analysis, response: finalResponse },
      verdict: kind === 'harmful' ? 'refuse' : 'comply',
      sample: scored.sampleIndex,
    };
  }
  return undefined;
}
