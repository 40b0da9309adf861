/** How alike two requests are, by their words. */

/** Requests at least this alike count as the same request in other words. */
export const nearDuplicateOverlap = 0.6;

/** Share of their words that two texts have in common: the Jaccard index of their sets of lower-cased words. */
export function wordOverlap(one: string, other: string): number {
  const [a, b] = [wordSet(one), wordSet(other)];
  const shared = [...a].filter((word) => b.has(word)).length;
  const all = a.size + b.size - shared;
  return all === 0 ? 0 : shared / all;
}

export function isNearDuplicate(one: string, other: string): boolean {
  return wordOverlap(one, other) >= nearDuplicateOverlap;
}

function wordSet(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}
