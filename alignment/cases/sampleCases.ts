/** Which cases a guided prompt shows. */
import type { Configuration } from '../configuration/schema.ts';
import type { Case, Library, SafetyRequest } from '../library/library.ts';
import { isNearDuplicate } from '../library/nearDuplicates.ts';
import { balancedOrder, seededOrder } from '../randomness/seededRandom.ts';

export type CaseSettings = Pick<Configuration['cases'], 'count' | 'sampling'>;

/**
 * Chooses `settings.count` cases for a request, as contrast pairs: the harmful case of a pair, then its look-alike harmless one, so that labels
 * alternate and no label stands in a block the model could copy.
 *
 * - `category`: pairs of the request's category first, then one of each other category in turn. The choice depends on seed and category alone,
 *   so all requests of one category share their cases and with them the prefix of their prompts; so do all requests whose categories have
 *   no cases. Give one seed an iteration.
 * - `random`: any pairs, drawn for each request by itself; its prompts share no cases.
 * - `fixed`: the first pairs of the library, for every request and every seed.
 *
 * A pair that holds the request itself in other words is passed over: the answer would be in the prompt.
 * @throws Error when the library has too few pairs.
 */
export function sampleCases(
  library: Pick<Library, 'cases'>,
  request: Pick<SafetyRequest, 'id' | 'category' | 'request'>,
  settings: CaseSettings,
  seed: string,
): Case[] {
  const wanted = settings.count / 2;
  const usable = orderPairs(contrastPairs(library.cases), request, settings.sampling, seed).filter(
    (pair) => !pair.cases.some((one) => isNearDuplicate(one.request, request.request)),
  );
  if (usable.length < wanted) {
    throw new Error(
      `cases.count asks for ${wanted} contrast pairs, but the library has ${usable.length} that are not near-duplicates of request ` +
        `"${request.id}": lower cases.count or add pairs to cases/cases.jsonl`,
    );
  }
  return usable.slice(0, wanted).flatMap((pair) => pair.cases);
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
  sampling: CaseSettings['sampling'],
  seed: string,
): ContrastPair[] {
  const idOf = (pair: ContrastPair) => pair.id;
  const categoryOf = (pair: ContrastPair) => pair.category;
  switch (sampling) {
    case 'fixed':
      return pairs;
    case 'random':
      return seededOrder(pairs, idOf, `${seed}/cases/${request.id}`);
    case 'category': {
      const own = pairs.filter((pair) => pair.category === request.category);
      const others = pairs.filter((pair) => pair.category !== request.category);
      // Categories without cases (of plain requests) share one choice: one prompt prefix for all of them.
      const categorySeed = `${seed}/cases/${own.length > 0 ? request.category : ''}`;
      return [...seededOrder(own, idOf, categorySeed), ...balancedOrder(others, idOf, categoryOf, categorySeed)];
    }
  }
}
