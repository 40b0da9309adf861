/** The library of a run: codes, cases, requests and judge rules, as parsed from its files (library/README.md describes them). */
import type { RequestCounts } from '../configuration/schema.ts';

export const requestKinds = ['harmful', 'plain', 'look-alike'] as const;

/** `look-alike`: harmless, but worded like something harmful. */
export type RequestKind = (typeof requestKinds)[number];

export const requestSplits = ['training', 'development', 'heldOut'] as const;

export type RequestSplit = (typeof requestSplits)[number];

export interface SafetyRequest {
  id: string;
  category: string;
  label: 'harmful' | 'harmless';
  kind: RequestKind;
  request: string;
  /** Id of the request of this split that it stands for once more: of a hazard that has too few. */
  repeatOf?: string | undefined;
}

/** A precedent: one request, the analysis of it, the decision, and the response. Cases come as contrast pairs of a harmful and a look-alike one. */
export interface Case {
  id: string;
  category: string;
  /** Shared by the two cases of a contrast pair. */
  pair: string;
  label: 'harmful' | 'harmless';
  request: string;
  analysis: string;
  verdict: 'refuse' | 'comply';
  response: string;
  version: number;
}

/** A text of the library with its front matter: codes or an instruction. */
export interface CodeText {
  path: string;
  /** Everything of the front matter, as written. */
  attributes: Record<string, unknown>;
  /** Hazard category that the text is about; absent = it applies to every request. */
  category?: string;
  /** Categories of public benchmarks, in lower case, whose questions the text is about too. */
  benchmarkCategories?: string[];
  text: string;
}

export interface Library {
  codes: {
    simple: CodeText;
    instruction: CodeText;
    /** The tiers that hold for every request, then those about one category, each by path. */
    detailed: CodeText[];
  };
  cases: Case[];
  requests: Record<RequestSplit, SafetyRequest[]>;
  /** Requests of public benchmarks, by name; only ever evaluated on. */
  benchmarks: Record<string, SafetyRequest[]>;
  judges: {
    /** Content of judges/refusal.json. */
    refusal: unknown;
    /** The published list of 29 refusal phrases, matched with case. */
    publishedPhrases: string[];
  };
}

/** The number of requests asked for of one kind. */
export function countOfKind(counts: RequestCounts, kind: RequestKind): number {
  return { harmful: counts.harmful, plain: counts.plain, 'look-alike': counts.lookAlike }[kind];
}
