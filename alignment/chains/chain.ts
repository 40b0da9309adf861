/**
 * A chain: the text a policy writes for a request, in two parts under fixed headings, first the analysis, then the final response (paper,
 * section 3). Only the final response is ever judged.
 */
import type { Configuration } from '../configuration/schema.ts';
import type { RequestKind } from '../library/library.ts';

/** The two headings, as they are set in `chain` of the run configuration. */
export type ChainHeadings = Pick<Configuration['chain'], 'analysisHeading' | 'responseHeading'>;

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
  /** Sampled tokens. */
  tokens: number;
  /** Cut by maxNewTokens. */
  cut: boolean;
  /** Why there is no reward. */
  unscorable?: string;
}

export interface ParsedChain {
  /** Text between the headings; empty where a heading is missing. */
  analysis: string;
  /** Text after the response heading; the whole text where that heading is missing. */
  finalResponse: string;
  format: boolean;
  /** Why `format` is false, in words; empty when it is true. */
  problems: string[];
}

/**
 * Splits a chain into its parts. A heading counts where it stands at the start of a line; the final response is everything after the first
 * response heading, so nothing that a reader would see is kept from the judge.
 */
export function parseChain(text: string, headings: ChainHeadings): ParsedChain {
  const analysisAt = findHeading(text, headings.analysisHeading);
  const responseAt = findHeading(text, headings.responseHeading);
  const problems = [
    ...headingProblems(analysisAt, headings.analysisHeading),
    ...headingProblems(responseAt, headings.responseHeading),
  ];
  const [analysis, response] = [analysisAt[0], responseAt[0]];
  const finalResponse = (response ? text.slice(response.end) : text).trim();
  const inOrder = analysis !== undefined && response !== undefined && analysis.start < response.start;
  const analysisText = inOrder ? text.slice(analysis.end, response.start).trim() : '';

  if (analysis && response && !inOrder) {
    problems.push(`"${headings.responseHeading}" comes before "${headings.analysisHeading}"`);
  }
  if (inOrder && text.slice(0, analysis.start).trim() !== '') {
    problems.push(`text before "${headings.analysisHeading}"`);
  }
  if (inOrder && analysisText === '') problems.push('the analysis is empty');
  if (response && finalResponse === '') problems.push('the final response is empty');
  return { analysis: analysisText, finalResponse, format: problems.length === 0, problems };
}

/** The text of a chain with these parts: what a case shows as the assistant's turn. `parseChain` gives the parts back. */
export function formatChain(analysis: string, response: string, headings: ChainHeadings): string {
  return `${headings.analysisHeading}\n${analysis.trim()}\n\n${headings.responseHeading}\n${response.trim()}`;
}

interface HeadingPlace {
  start: number;
  end: number;
}

function findHeading(text: string, heading: string): HeadingPlace[] {
  const escaped = heading.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // A letter or digit after it would make it another heading ("### Analysis" in "### Analysis2"); a colon belongs to it.
  const pattern = new RegExp(`^[ \\t]*${escaped}(?![\\p{L}\\p{N}]):?`, 'gmu');
  return [...text.matchAll(pattern)].map((match) => ({ start: match.index, end: match.index + match[0].length }));
}

function headingProblems(places: HeadingPlace[], heading: string): string[] {
  if (places.length === 0) return [`no "${heading}"`];
  return places.length > 1 ? [`"${heading}" ${places.length} times`] : [];
}
