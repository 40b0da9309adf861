/** Token ids for measurements: speed does not depend on what a text says. */

/** Numbers in [0, 1) from a fixed linear congruential sequence. */
export function pseudoRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Ids above the special tokens, below the vocabulary's end. */
export function randomTokens(count: number, vocabularySize: number, random: () => number): number[] {
  return Array.from({ length: count }, () => 20 + Math.floor(random() * (vocabularySize - 20)));
}
