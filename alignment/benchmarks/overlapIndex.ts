/** Finds, among many texts, the one that another text repeats: word for word, in other words, or in part. */
import { nearDuplicateOverlap } from '../library/nearDuplicates.ts';

/** Words in a row that two texts share only where one is taken from the other: requests are short, so fewer than the 13 of training corpora (Brown et al. 2020, arXiv:2005.14165). */
export const sharedRunWords = 8;

export interface Overlap {
  /** Of the text of the index. */
  id: string;
  /** Share of their words in common (Jaccard): 1 = exact, from `nearDuplicateOverlap` near; less = a run of words alone. */
  overlap: number;
}

/** How two texts overlap, by the share of their words. */
export type OverlapKind = 'exact' | 'near' | 'run';

export function overlapKind(overlap: number): OverlapKind {
  if (overlap === 1) return 'exact';
  return overlap >= nearDuplicateOverlap ? 'near' : 'run';
}

/** By an index from words and runs of words to texts: sets of thousands are compared in moments. */
export class OverlapIndex {
  private readonly ids: string[];
  private readonly sizes: number[];
  private readonly exact = new Map<string, number>();
  private readonly holding = new Map<string, number[]>();
  private readonly holdingRun = new Map<string, number[]>();

  constructor(texts: readonly { id: string; text: string }[]) {
    this.ids = texts.map(({ id }) => id);
    this.sizes = texts.map(({ text }, place) => {
      const words = wordsOf(text);
      const plain = words.join(' ');
      if (plain !== '' && !this.exact.has(plain)) this.exact.set(plain, place);
      for (const run of runsOf(words)) note(this.holdingRun, run, place);
      const different = new Set(words);
      for (const word of different) note(this.holding, word, place);
      return different.size;
    });
  }

  /** Of all texts that it overlaps the one with the greatest share of words; undefined = it overlaps none. */
  nearest(text: string): Overlap | undefined {
    const ordered = wordsOf(text);
    const exact = this.exact.get(ordered.join(' '));
    if (exact !== undefined) return { id: this.ids[exact]!, overlap: 1 };
    const words = new Set(ordered);
    const shared = new Map<number, number>();
    for (const word of words) {
      for (const place of this.holding.get(word) ?? []) shared.set(place, (shared.get(place) ?? 0) + 1);
    }
    const sharesRun = new Set([...runsOf(ordered)].flatMap((run) => this.holdingRun.get(run) ?? []));
    let nearest: Overlap | undefined;
    for (const [place, count] of shared) {
      const overlap = count / (words.size + this.sizes[place]! - count);
      if (overlap < nearDuplicateOverlap && !sharesRun.has(place)) continue;
      // The same words in another order or number are near, not exact.
      if (overlap > (nearest?.overlap ?? 0)) nearest = { id: this.ids[place]!, overlap: Math.min(overlap, mostNear) };
    }
    return nearest;
  }
}

const mostNear = 0.999;

/** Lower case, letters and digits alone, one space between words. */
export function plainWords(text: string): string {
  return wordsOf(text).join(' ');
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function runsOf(words: readonly string[]): Set<string> {
  const runs = new Set<string>();
  for (let end = sharedRunWords; end <= words.length; end++) runs.add(words.slice(end - sharedRunWords, end).join(' '));
  return runs;
}

function note(index: Map<string, number[]>, key: string, place: number): void {
  const places = index.get(key);
  if (places) places.push(place);
  else index.set(key, [place]);
}
