/**
 * Contamination: which questions of a benchmark stand among the texts that a model is trained or prompted with. Ids and counts alone come out, never a
 * text. Exact: equal in lower case without punctuation. Near: at least `nearDuplicateOverlap` of their words in common (Jaccard), not exact.
 */
import { nearDuplicateOverlap } from '../library/nearDuplicates.ts';
import type { Library } from '../library/library.ts';
import type { SuiteQuestion } from './suites.ts';

/** Texts of one kind: a file, a split of the library. */
export interface TextSource {
  name: string;
  /** What it is used for. */
  use: 'trained on' | 'in prompts' | 'chosen by' | 'evaluated on';
  texts: { id: string; text: string }[];
}

/** A question, with all wordings that would give it away: under an attack also what it asks for. */
export interface BenchmarkTexts {
  benchmark: string;
  questions: { id: string; texts: string[] }[];
}

/** One source set against one benchmark. */
export interface Contamination {
  source: string;
  use: TextSource['use'];
  /** Texts of the source. */
  texts: number;
  benchmark: string;
  questions: number;
  /** Questions that stand in the source word for word. */
  exact: number;
  /** Further questions of which a near duplicate stands there. */
  near: number;
  /** Pairs of ids: of the question, of the nearest text, and the share of words they have in common (1 = exact). */
  pairs: { question: string; text: string; overlap: number }[];
}

export function contaminationOf(source: TextSource, { benchmark, questions }: BenchmarkTexts): Contamination {
  const index = new OverlapIndex(source.texts);
  const pairs = questions.flatMap(({ id, texts }) => {
    const nearest = texts.flatMap((text) => index.nearest(text) ?? []).sort((a, b) => b.overlap - a.overlap)[0];
    return nearest ? [{ question: id, text: nearest.id, overlap: nearest.overlap }] : [];
  });
  const exact = pairs.filter(({ overlap }) => overlap === 1).length;
  return {
    ...{ source: source.name, use: source.use, texts: source.texts.length },
    ...{ benchmark, questions: questions.length },
    ...{ exact, near: pairs.length - exact, pairs },
  };
}

/** Every source against every benchmark, in their order. */
export function contaminationTable(
  sources: readonly TextSource[],
  benchmarks: readonly BenchmarkTexts[],
): Contamination[] {
  return sources.flatMap((source) => benchmarks.map((benchmark) => contaminationOf(source, benchmark)));
}

/** What of a library reaches a model, or chooses one. */
export function librarySources({ requests, cases }: Library): TextSource[] {
  const of = (rows: readonly { id: string; request: string }[]) =>
    rows.map(({ id, request }) => ({ id, text: request }));
  const sources: TextSource[] = [
    { name: 'training requests', use: 'trained on', texts: of(requests.training) },
    { name: 'cases', use: 'in prompts', texts: of(cases) },
    { name: 'development requests', use: 'chosen by', texts: of(requests.development) },
    { name: 'held-out requests', use: 'evaluated on', texts: of(requests.heldOut) },
  ];
  return sources.filter(({ texts }) => texts.length > 0);
}

/** The questions of a suite by what of them could be known beforehand. */
export function suiteTexts(suite: string, questions: readonly SuiteQuestion[]): BenchmarkTexts {
  return {
    benchmark: suite,
    questions: questions.map(({ id, kind, prompt, goal }) => ({
      id,
      texts: kind === 'utility' ? [ownQuestion(prompt)] : [...new Set([goal, prompt])],
    })),
  };
}

/** A utility question without the worked examples before it and the word that asks for its answer. */
function ownQuestion(prompt: string): string {
  const last = prompt.split('\n\n').at(-1)!;
  const own = last.replace(/^Question:\s*/, '').replace(/\s*Answer:\s*$/, '');
  return own.trim() === '' || last.startsWith('End with one line') ? prompt : own;
}

/** Lower case, letters and digits alone, one space between words. */
export function plainWords(text: string): string {
  return wordsOf(text).join(' ');
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Finds the text with most words in common, by an index from words to texts: sets of thousands are compared in moments. */
class OverlapIndex {
  private readonly ids: string[];
  private readonly sizes: number[];
  private readonly exact = new Map<string, number>();
  private readonly holding = new Map<string, number[]>();

  constructor(texts: TextSource['texts']) {
    this.ids = texts.map(({ id }) => id);
    this.sizes = texts.map(({ text }, place) => {
      const plain = plainWords(text);
      if (plain !== '' && !this.exact.has(plain)) this.exact.set(plain, place);
      const words = new Set(wordsOf(text));
      for (const word of words) {
        const places = this.holding.get(word);
        if (places) places.push(place);
        else this.holding.set(word, [place]);
      }
      return words.size;
    });
  }

  /** Undefined where no text is as near as `nearDuplicateOverlap`. */
  nearest(text: string): { id: string; overlap: number } | undefined {
    const exact = this.exact.get(plainWords(text));
    if (exact !== undefined) return { id: this.ids[exact]!, overlap: 1 };
    const words = new Set(wordsOf(text));
    const shared = new Map<number, number>();
    for (const word of words) {
      for (const place of this.holding.get(word) ?? []) shared.set(place, (shared.get(place) ?? 0) + 1);
    }
    let nearest: { id: string; overlap: number } | undefined;
    for (const [place, count] of shared) {
      const overlap = count / (words.size + this.sizes[place]! - count);
      if (overlap < nearDuplicateOverlap || overlap <= (nearest?.overlap ?? 0)) continue;
      // The same words in another order or number are near, not exact.
      nearest = { id: this.ids[place]!, overlap: Math.min(overlap, mostNear) };
    }
    return nearest;
  }
}

const mostNear = 0.999;
