/** How alike two requests are in their letters and in their word order. Stricter than the overlap of words, which any two questions share. */

export interface Fingerprint {
  normalised: string;
  /** Runs of five characters. */
  characters: Set<string>;
  /** Runs of three words. */
  words: Set<string>;
}

export function fingerprint(text: string): Fingerprint {
  const normalised = text
    .toLowerCase()
    .replace(/['\u2019]/g, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
  const words = normalised.split(' ');
  return {
    normalised,
    characters: new Set(Array.from({ length: Math.max(1, normalised.length - 4) }, (_, i) => normalised.slice(i, i + 5))),
    words: new Set(Array.from({ length: Math.max(1, words.length - 2) }, (_, i) => words.slice(i, i + 3).join(' '))),
  };
}

/** The larger of the two Jaccard indices: of runs of five characters and of runs of three words. */
export function similarity(one: Fingerprint, other: Fingerprint): number {
  if (one.normalised === other.normalised) return 1;
  return Math.max(jaccard(one.characters, other.characters), jaccard(one.words, other.words));
}

function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const element of a) if (b.has(element)) shared += 1;
  return shared / (a.size + b.size - shared);
}
