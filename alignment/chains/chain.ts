/**
 * A chain: the text a policy writes for a request, in two parts, first the analysis, then the final response (paper, section 3). Only the final response is
 * ever judged. All that reads or writes a chain does so through `parseChain` and `formatChain`.
 */
import type { Configuration } from '../configuration/schema.ts';
import type { RequestKind } from '../library/library.ts';
import { formatPattern, parsePattern } from './chainPattern.ts';
import { splitAtMarks, type Mark, type ParsedChain } from './marks.ts';
import { formatReasoning, splitReasoning } from './reasoningTurn.ts';

export type { ParsedChain } from './marks.ts';

/** How the two parts are told apart, as it is set in `chain` of the run configuration: under headings where `format` is absent. */
export type ChainFormat = Pick<Configuration['chain'], 'analysisHeading' | 'responseHeading'> &
  Partial<Pick<Configuration['chain'], 'format' | 'pattern' | 'thinking'>>;

/** One sampled chain, as generation leaves it. */
export interface ChainRecord {
  requestId: string;
  sampleIndex: number;
  /** What the chain was generated from: the raw request, or the request with codes and cases. */
  guidance: 'raw' | 'cases';
  /** Cases in the prompt, in their order. */
  caseIds: string[];
  /** Token ids of the raw request's prompt: what training conditions on, whatever guidance the chain was sampled under. */
  promptTokens: number[];
  /** Sampled ids, with the stop token if one was drawn. Training uses these, never the text tokenised again. */
  tokens: number[];
  /** log p of each sampled token under the distribution it was drawn from. */
  logProbs: number[];
  text: string;
  finishReason: 'stop' | 'length';
}

export type Verdict = 'refusal' | 'compliance' | 'unusable';

/** What the analysis of a refusal gives away (alignment/evaluation/leaks.ts). */
export interface Leak {
  /** By the rules. */
  rules: boolean;
  /** By a rubric judge, 0 to 1; null = it could not tell, absent = not asked. */
  score?: number | null;
}

/** One chain with its reward. */
export interface ScoredChain {
  requestId: string;
  sampleIndex: number;
  kind: RequestKind;
  /** Unweighted value of each reward part that applies to the chain, by its name in `rewards` of the configuration. */
  parts: Record<string, number>;
  /** Weighted sum of the parts; null = unscorable (never 0 instead). */
  reward: number | null;
  /** null = unscorable. */
  verdict: Verdict | null;
  /** Both parts present, in order, once each, neither empty. */
  format: boolean;
  /** The final response holds one of the 29 published refusal phrases. */
  phraseRefusal: boolean;
  /** The final response refuses in words and gives content all the same. */
  refusalWithContent: boolean;
  /** Of a refusal of a harmful request, where leaks are looked for; no part of the reward. */
  leak?: Leak;
  /** Sampled tokens. */
  tokens: number;
  /** Cut by maxNewTokens. */
  cut: boolean;
  /** The guard model finds the final response unsafe, at its threshold; absent = it was not asked, or could not say. */
  harmByGuard?: boolean;
  /** Why there is no reward. */
  unscorable?: string;
}

/**
 * Splits a chain into its parts. Where the form is missing, the whole text is the final response, less what stands in the reasoning turn of a model that has
 * one.
 * - `headings`: a heading counts where it stands at the start of a line; the final response is everything after the first response heading.
 * - `think`: the analysis is the reasoning turn, the final response all that stands outside of it.
 * - `pattern`: see `parsePattern`.
 *
 * With `thinking` set, a reasoning turn in front of headings or pattern is the first part of the analysis.
 */
export function parseChain(text: string, format: ChainFormat): ParsedChain {
  if (format.format === 'think') return parseThink(text);
  if (format.thinking === undefined) return parseParts(text, format);
  const { blocks, rest, problems: ofTurn } = splitReasoning(text);
  const parts = parseParts(rest, format);
  const unasked = format.thinking || blocks.length === 0 ? [] : ['a reasoning turn, though thinking is off'];
  const problems = [...ofTurn, ...unasked, ...parts.problems];
  const analysis = [...blocks, parts.analysis].filter((part) => part !== '').join('\n\n');
  return { analysis, finalResponse: parts.finalResponse, format: problems.length === 0, problems };
}

/** The text of a chain with these parts: what a case shows as the assistant's turn. `parseChain` gives the parts back. */
export function formatChain(analysis: string, response: string, format: ChainFormat): string {
  switch (format.format) {
    case 'think':
      return formatReasoning(analysis, response);
    case 'pattern':
      return formatPattern(analysis, response, format.pattern ?? {});
    default:
      return `${format.analysisHeading}\n${analysis.trim()}\n\n${format.responseHeading}\n${response.trim()}`;
  }
}

/** An answer without an analysis, as a model of this format ends its turn: a reasoning turn, where there is one, is empty. */
export function formatAnswer(response: string, { format, thinking }: ChainFormat): string {
  return format === 'think' || thinking === true ? formatReasoning('', response) : response;
}

function parseParts(text: string, format: ChainFormat): ParsedChain {
  if (format.format === 'pattern') return parsePattern(text, format.pattern ?? {});
  const headingMark = (name: string): Mark => ({ name, places: findHeading(text, name) });
  return splitAtMarks(text, headingMark(format.analysisHeading), headingMark(format.responseHeading));
}

function parseThink(text: string): ParsedChain {
  const { blocks, rest, textBefore, problems: ofTurn } = splitReasoning(text);
  const analysis = blocks.filter((block) => block !== '').join('\n\n');
  const problems = [
    ...(blocks.length === 0 ? ['no "<think>"'] : ofTurn),
    ...(textBefore ? ['text before "<think>"'] : []),
    ...(blocks.length > 0 && analysis === '' ? ['the analysis is empty'] : []),
    ...(rest === '' ? ['the final response is empty'] : []),
  ];
  return { analysis, finalResponse: rest, format: problems.length === 0, problems };
}

function findHeading(text: string, heading: string): { start: number; end: number }[] {
  const escaped = heading.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // A letter or digit after it would make it another heading ("### Analysis" in "### Analysis2"); a colon belongs to it.
  const pattern = new RegExp(`^[ \\t]*${escaped}(?![\\p{L}\\p{N}]):?`, 'gmu');
  return [...text.matchAll(pattern)].map((match) => ({ start: match.index, end: match.index + match[0].length }));
}
