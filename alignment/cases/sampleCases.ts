/** Which cases a guided prompt shows. */
import { usesSimilarity, type CaseSamplingSettings } from '../configuration/caseSampling.ts';
import type { Case, Library, SafetyRequest } from '../library/library.ts';
import { isNearDuplicate } from '../library/nearDuplicates.ts';
import { balancedOrder, seededOrder } from '../randomness/seededRandom.ts';
import { nearnessOfPairs, type TextVectors } from './similarity.ts';

export interface CaseSettings extends CaseSamplingSettings {
  count: number;
}

/**
 * Chooses `settings.count` cases for a request, as contrast pairs: the harmful case of a pair, then its look-alike harmless one, so that labels
 * alternate and no label stands in a block the model could copy.
 *
 * - `category`: pairs of the request's category first, then one of each other category in turn. The choice depends on seed and category alone,
 *   so all requests of one category share their cases and with them the prefix of their prompts; so do all requests whose categories have
 *   no cases. Give one seed an iteration.
 * - `random`: any pairs, drawn for each request by itself; its prompts share no cases.
 * - `fixed`: the first pairs of the library, for every request and every seed.
 * - `similarity`: the pairs whose harmful case is nearest to the request, the nearest first; the seed decides between equally near ones. Prompts share no
 *   cases by design.
 * - `none`: no cases, whatever their number.
 *
 * `settings.order` then orders the chosen pairs. A pair that holds the request itself in other words is passed over: the answer would be in the prompt.
 * @param vectors of the request and of the texts of `comparedTexts`: needed where `usesEmbeddings`
 * @throws Error when the library has too few pairs, or a vector is missing.
 */
export function sampleCases(
  library: Pick<Library, 'cases'>,
  request: Pick<SafetyRequest, 'id' | 'category' | 'request'>,
  settings: CaseSettings,
  seed: string,
  vectors?: TextVectors,
): Case[] {
  if (settings.sampling === 'none' || settings.count === 0) return [];
  const wanted = settings.count / 2;
  const nearness = usesSimilarity(settings)
    ? nearnessOfPairs(library.cases, request.request, settings, vectors)
    : new Map<string, number>();
  const pairs = contrastPairs(library.cases);
  const usable = orderPairs(pairs, request, settings.sampling, seed, nearness).filter(
    (pair) => !pair.cases.some((one) => isNearDuplicate(one.request, request.request)),
  );
  if (usable.length < wanted) {
    throw new Error(
      `cases.count asks for ${wanted} contrast pairs, but the library has ${usable.length} that are not near-duplicates of request ` +
        `"${request.id}": lower cases.count or add pairs to cases/cases.jsonl`,
    );
  }
  const chosen = usable.slice(0, wanted);
  return inOrder(chosen, settings.order, nearness, `${seed}/order/${request.id}`).flatMap((pair) => pair.cases);
}

interface ContrastPair {
  id: string;
  category: string;
  /** The harmful case, then the harmless one. */
  cases: [Case, Case];
}

function contrastPairs(cases: readonly Case[]): ContrastPair[] {
  const harmless = new Map(cases.filter((one) => one.label === 'harmless').map((one) => [one.pair, one]));
  return cases.flatMap((one) => {
    const partner = harmless.get(one.pair);
    return one.label === 'harmful' && partner ? [{ id: one.pair, category: one.category, cases: [one, partner] }] : [];
  });
}

function orderPairs(
  pairs: ContrastPair[],
  request: Pick<SafetyRequest, 'id' | 'category'>,
  sampling: Exclude<CaseSettings['sampling'], 'none'>,
  seed: string,
  nearness: ReadonlyMap<string, number>,
): ContrastPair[] {
  const categoryOf = (pair: ContrastPair) => pair.category;
  switch (sampling) {
    case 'fixed':
      return pairs;
    case 'random':
      return seededOrder(pairs, idOf, `${seed}/cases/${request.id}`);
    case 'similarity':
      // Sorting keeps the seed's order among equals.
      return nearestFirst(seededOrder(pairs, idOf, `${seed}/cases/${request.id}`), nearness);
    case 'category': {
      const own = pairs.filter((pair) => pair.category === request.category);
      const others = pairs.filter((pair) => pair.category !== request.category);
      // Categories without cases (of plain requests) share one choice: one prompt prefix for all of them.
      const categorySeed = `${seed}/cases/${own.length > 0 ? request.category : ''}`;
      return [...seededOrder(own, idOf, categorySeed), ...balancedOrder(others, idOf, categoryOf, categorySeed)];
    }
  }
}

function inOrder(
  chosen: ContrastPair[],
  order: CaseSettings['order'],
  nearness: ReadonlyMap<string, number>,
  seed: string,
): ContrastPair[] {
  switch (order) {
    case undefined:
      return chosen;
    case 'random':
      return seededOrder(chosen, idOf, seed);
    case 'nearestFirst':
      return nearestFirst(chosen, nearness);
    case 'nearestLast':
      return nearestFirst(chosen, nearness).reverse();
  }
}

function nearestFirst(pairs: readonly ContrastPair[], nearness: ReadonlyMap<string, number>): ContrastPair[] {
  return [...pairs].sort((one, other) => nearness.get(other.id)! - nearness.get(one.id)!);
}

const idOf = (pair: ContrastPair): string => pair.id;
