/** Okapi BM25: how well a text matches each of some documents, by the words they share. */
import type { Bm25Settings } from '../configuration/caseSampling.ts';
import { wordsOf } from '../texts/words.ts';

/** Words as BM25 counts them: lower case, without stemming and stop words. It depends on the text alone, not on the machine's language. */
export const termsOf = (text: string): string[] => wordsOf(text.normalize('NFKC').toLowerCase());

/** The score of each document for a query, in the order of the documents. */
export type Bm25 = (query: string) => number[];

/**
 * Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.4:
 *
 *     score(d, q) = sum over the words w of q: idf(w) * f (k1 + 1) / (f + k1 (1 - b + b |d| / mean |d|)),   f = count of w in d
 *
 * with idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)) as in Lucene (N documents, n of them with w): never negative, where the original turns negative for a
 * word that most documents hold. A word that the query says twice counts twice.
 */
export function bm25(documents: readonly string[], { k1, b }: Bm25Settings): Bm25 {
  const lengths: number[] = [];
  // Of each word: where it stands, and how often.
  const postings = new Map<string, Map<number, number>>();
  for (const [index, document] of documents.entries()) {
    const terms = termsOf(document);
    lengths.push(terms.length);
    for (const term of terms) {
      const counts = postings.get(term) ?? new Map<number, number>();
      counts.set(index, (counts.get(index) ?? 0) + 1);
      postings.set(term, counts);
    }
  }
  const meanLength = lengths.reduce((sum, length) => sum + length, 0) / documents.length;
  return (query) => {
    const scores = documents.map(() => 0);
    for (const term of termsOf(query)) {
      const counts = postings.get(term);
      if (!counts) continue;
      const idf = Math.log(1 + (documents.length - counts.size + 0.5) / (counts.size + 0.5));
      for (const [index, count] of counts) {
        const saturation = k1 * (1 - b + (b * lengths[index]!) / meanLength);
        scores[index]! += (idf * count * (k1 + 1)) / (count + saturation);
      }
    }
    return scores;
  };
}
