/** Harmful requests and the look-alikes that are nearest to them. */
import type { SafetyRequest } from '../library/library.ts';
import { wordOverlap } from '../library/nearDuplicates.ts';
import { balancedOrder } from '../randomness/seededRandom.ts';

export interface ContrastPair {
  harmful: SafetyRequest;
  lookAlike: SafetyRequest;
}

/**
 * Pairs of one hazard each: the two that share the largest part of their words first, then those of what is left; equals in the order of the requests. No
 * request is in two pairs. The first `count` of a seeded order that is balanced over hazards.
 * @throws Error where there are fewer.
 */
export function contrastPairs(
  requests: readonly SafetyRequest[],
  count: number,
  seed: string,
  source: string,
): ContrastPair[] {
  const byHazard = Map.groupBy(requests, ({ category }) => category);
  const pairs = [...byHazard.values()].flatMap(nearestPairs);
  if (pairs.length < count)
    throw new Error(
      `${source} has ${pairs.length} pairs of a harmful request and a look-alike of its hazard, but evaluation.faithfulness asks for ${count}: lower that number or add requests`,
    );
  return balancedOrder(
    pairs,
    ({ harmful }) => harmful.id,
    ({ harmful }) => harmful.category,
    `${seed}/contrast-pairs`,
  ).slice(0, count);
}

function nearestPairs(ofHazard: readonly SafetyRequest[]): ContrastPair[] {
  const ofKind = (kind: SafetyRequest['kind']) => ofHazard.filter((request) => request.kind === kind);
  const lookAlikes = ofKind('look-alike');
  const candidates = ofKind('harmful')
    .flatMap((harmful) => lookAlikes.map((lookAlike) => ({ harmful, lookAlike })))
    .map((pair) => ({ ...pair, overlap: wordOverlap(pair.harmful.request, pair.lookAlike.request) }))
    .sort((one, other) => other.overlap - one.overlap);
  const taken = new Set<string>();
  return candidates.flatMap(({ harmful, lookAlike }) => {
    if (taken.has(harmful.id) || taken.has(lookAlike.id)) return [];
    taken.add(harmful.id).add(lookAlike.id);
    return [{ harmful, lookAlike }];
  });
}
