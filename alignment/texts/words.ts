/** Words, sentences and letter case of a text. */

export const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}\p{M}_]+/gu) ?? [];

/** Holds letters with case, none of them lower (Python's isupper). */
export function isAllCapitals(text: string): boolean {
  return text !== text.toLowerCase() && text === text.toUpperCase();
}

export function isAllLowercase(text: string): boolean {
  return text !== text.toUpperCase() && text === text.toLowerCase();
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
const abbreviation = /(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Inc|Ltd|Co)|\b\p{Lu}|^\s*\d+)\.\s*$/u;

/** Sentences; a line end alone ends none, as in Punkt. */
export function countSentences(text: string): number {
  let count = 0;
  let open = false;
  for (const { segment } of segmenter.segment(text.replace(/\s+/g, ' ').trim())) {
    if (segment.trim() === '') continue;
    if (!open) count += 1;
    open = abbreviation.test(segment);
  }
  return count;
}
