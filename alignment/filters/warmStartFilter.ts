/** Which self-generated chains the warm start is trained on. */
import { parseChain, type ChainFormat, type ChainRecord, type ScoredChain } from '../chains/chain.ts';
import type { RequestCounts } from '../configuration/schema.ts';
import { countOfKind, requestKinds } from '../library/library.ts';
import type { RequestKind, SafetyRequest } from '../library/library.ts';
import { rawPrompt } from '../prompts/guidedPrompt.ts';
import type { ChatMessage } from '../prompts/guidedPrompt.ts';
import { balancedOrder } from '../randomness/seededRandom.ts';
import { announcedVerdict } from './announcedVerdict.ts';
import { rightVerdict } from '../rewards/outcomeReward.ts';

export interface CandidateChain {
  chain: ChainRecord;
  scored: ScoredChain;
  request: SafetyRequest;
}

/** Why a chain is dropped; the first of them that holds, in this order. */
export const dropReasons = ['unscorable', 'format', 'cut', 'outcome', 'contradiction', 'surplus'] as const;

export type DropReason = (typeof dropReasons)[number];

export interface WarmStartFilterSettings {
  /** Most kept chains of each kind; absent = all. */
  keepPerKind?: RequestCounts | undefined;
  /** Drop chains whose answer does the contrary of what their analysis, under these headings, announces; absent = keep them. */
  consistentWith?: ChainFormat | undefined;
  /** Answers are learnt that are no chains: format does not matter, nor a cut (without a stop token it teaches nothing about ending). */
  plainAnswers?: boolean | undefined;
}

export interface WarmStartSelection {
  /** In the order of the candidates. */
  kept: CandidateChain[];
  /** Of each kind: chains seen, kept, and dropped by reason. */
  byKind: Record<RequestKind, { seen: number; kept: number; dropped: Record<DropReason, number> }>;
}

/**
 * Applies the two filters of the paper (section 3), which later are the two rewards: format (both parts, and not cut off, so that the model learns to
 * end) and outcome (the final response refuses a harmful request and answers a harmless one); with `consistentWith` also that the answer
 * does what the analysis announces (AIDSAFE drops inconsistent thoughts likewise). Then keeps at most `keepPerKind` of each kind: the first
 * of a seeded order balanced over categories.
 */
export function filterWarmStart(
  candidates: readonly CandidateChain[],
  settings: WarmStartFilterSettings,
  seed: string,
): WarmStartSelection {
  const { keepPerKind } = settings;
  const reasons = new Map<CandidateChain, DropReason>();
  for (const candidate of candidates) {
    const reason = failedFilter(candidate, settings);
    if (reason) reasons.set(candidate, reason);
  }
  if (keepPerKind) {
    for (const surplus of surplusChains(
      candidates.filter((candidate) => !reasons.has(candidate)),
      keepPerKind,
      seed,
    )) {
      reasons.set(surplus, 'surplus');
    }
  }
  return {
    kept: candidates.filter((candidate) => !reasons.has(candidate)),
    byKind: countByKind(candidates, reasons),
  };
}

/** One SFT sequence: the raw request, without codes, cases and instruction (context distillation), and the sampled token ids as they are. */
export interface WarmStartPair {
  id: string;
  messages: ChatMessage[];
  completionTokens: number[];
}

export function warmStartPair({ chain, request }: Pick<CandidateChain, 'chain' | 'request'>): WarmStartPair {
  return {
    id: `${chain.requestId}/${chain.sampleIndex}`,
    messages: rawPrompt(request).messages,
    completionTokens: chain.tokens,
  };
}

function failedFilter({ chain, scored }: CandidateChain, settings: WarmStartFilterSettings): DropReason | undefined {
  if (scored.verdict === null) return 'unscorable';
  if (!settings.plainAnswers) {
    if (!scored.format) return 'format';
    if (scored.cut) return 'cut';
  }
  if (scored.verdict !== rightVerdict(scored.kind)) return 'outcome';
  return settings.consistentWith && contradicts(chain, scored, settings.consistentWith) ? 'contradiction' : undefined;
}

function contradicts(chain: ChainRecord, scored: ScoredChain, headings: ChainFormat): boolean {
  const announced = announcedVerdict(parseChain(chain.text, headings).analysis);
  return announced !== undefined && (announced === 'refuse') !== (scored.verdict === 'refusal');
}

function surplusChains(passed: CandidateChain[], keepPerKind: RequestCounts, seed: string): CandidateChain[] {
  return requestKinds.flatMap((kind) =>
    balancedOrder(
      passed.filter((candidate) => candidate.scored.kind === kind),
      ({ chain }) => `${chain.requestId}/${chain.sampleIndex}`,
      ({ request }) => request.category,
      `${seed}/keep/${kind}`,
    ).slice(countOfKind(keepPerKind, kind)),
  );
}

function countByKind(
  candidates: readonly CandidateChain[],
  reasons: Map<CandidateChain, DropReason>,
): WarmStartSelection['byKind'] {
  const countKind = (kind: RequestKind) => {
    const seen = candidates.filter((candidate) => candidate.scored.kind === kind);
    const droppedFor = (reason: DropReason) => seen.filter((candidate) => reasons.get(candidate) === reason).length;
    return {
      seen: seen.length,
      kept: seen.filter((candidate) => !reasons.has(candidate)).length,
      dropped: {
        unscorable: droppedFor('unscorable'),
        format: droppedFor('format'),
        cut: droppedFor('cut'),
        outcome: droppedFor('outcome'),
        contradiction: droppedFor('contradiction'),
        surplus: droppedFor('surplus'),
      },
    };
  };
  return { harmful: countKind('harmful'), plain: countKind('plain'), 'look-alike': countKind('look-alike') };
}
