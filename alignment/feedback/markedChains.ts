/** Marked chains as training data: what a run takes in, found by content, whatever is marked afterwards. */
import type { ChainRecord } from '../chains/chain.ts';
import type { MarkVerdict } from './marks.ts';

/** A marked chain with the ids that it was sampled as. */
export interface MarkedChain extends Pick<ChainRecord, 'requestId' | 'promptTokens' | 'tokens' | 'text'> {
  run: string;
  /** Its name within that run. */
  chain: string;
  as: Exclude<MarkVerdict, 'none'>;
  /** SHA-256 of the request's text, where the marked runs have several libraries: in each an id may mean another request. */
  request?: string;
}

/** What `marks.chains` of a configuration names. */
export interface MarkedChains {
  format: 'cada-marked-chains';
  /** Digest of the base model that sampled them: their ids are its tokenizer's. */
  model: string;
  /** By run, then by name. */
  chains: MarkedChain[];
}

const markedPrefix = 'marked/';

/** The id that a marked chain has among the sequences of a step. */
export const markedId = ({ run, chain }: Pick<MarkedChain, 'run' | 'chain'>): string =>
  `${markedPrefix}${run}/${chain}`;

export const isMarkedId = (id: string): boolean => id.startsWith(markedPrefix);

export const isRight = ({ as }: Pick<MarkedChain, 'as'>): boolean => as === 'right';

type Sampled = Pick<ChainRecord, 'promptTokens' | 'tokens'>;

/** By the request's tokens, not its id: that of another library may be another request. */
const sameText = ({ promptTokens, tokens }: Sampled): string => JSON.stringify([promptTokens, tokens]);

/** What is marked about a chain that another run, or the same sampling, has written word for word. */
export function verdictsByText(marked: readonly MarkedChain[]): (chain: Sampled) => MarkedChain['as'] | undefined {
  const known = new Map(marked.map((chain) => [sameText(chain), chain.as]));
  return (chain) => known.get(sameText(chain));
}

export interface MarkedSelection<T> {
  /** Candidates that stay: none that is marked bad. */
  kept: T[];
  /** `right` chains that are not among them already. */
  added: MarkedChain[];
  /** Candidates that were left out because of their mark. */
  leftOut: number;
}

/** The filtered candidates of a warm start, less those marked bad, and the chains marked right. */
export function selectByMarks<T extends { chain: Sampled }>(
  filtered: readonly T[],
  marked: readonly MarkedChain[],
): MarkedSelection<T> {
  const verdict = verdictsByText(marked);
  const kept = filtered.filter(({ chain }) => [undefined, 'right'].includes(verdict(chain)));
  const texts = new Set(kept.map(({ chain }) => sameText(chain)));
  const added = marked.filter((chain) => {
    if (!isRight(chain) || texts.has(sameText(chain))) return false;
    texts.add(sameText(chain));
    return true;
  });
  return { kept, added, leftOut: filtered.length - kept.length };
}

/**
 * Of each request with chains marked right and chains marked bad: as many pairs as the more numerous of the two, each chain in one at least. In the order
 * of the requests' first appearance.
 */
export function markedPairs(marked: readonly MarkedChain[]): { chosen: MarkedChain; rejected: MarkedChain }[] {
  const requestOf = ({ request, requestId }: MarkedChain): string => JSON.stringify([request ?? null, requestId]);
  return [...Map.groupBy(marked, requestOf).values()].flatMap((group) => {
    const right = group.filter(isRight);
    const bad = group.filter((chain) => !isRight(chain));
    if (right.length === 0 || bad.length === 0) return [];
    return Array.from({ length: Math.max(right.length, bad.length) }, (_, place) => ({
      chosen: right[place % right.length]!,
      rejected: bad[place % bad.length]!,
    }));
  });
}

/** Whether a preference by reward says the contrary of a mark: it is then left out. */
export function contradictsMark(
  verdict: (chain: Sampled) => MarkedChain['as'] | undefined,
  chosen: Sampled,
  rejected: Sampled,
): boolean {
  const ofChosen = verdict(chosen);
  return (ofChosen !== undefined && ofChosen !== 'right') || verdict(rejected) === 'right';
}

/** Whether a chain, by its mark, is desirable; undefined where it has none. */
export function desirableByMark(
  verdict: (chain: Sampled) => MarkedChain['as'] | undefined,
  chain: Sampled,
): boolean | undefined {
  const as = verdict(chain);
  return as === undefined ? undefined : as === 'right';
}
