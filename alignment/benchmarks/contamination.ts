/**
 * Contamination: which questions of a benchmark stand among the texts that a model is trained or prompted with. Ids and counts alone come out, never a
 * text. Exact: equal in lower case without punctuation. Near: at least `nearDuplicateOverlap` of their words in common (Jaccard), not exact. In part: neither, but
 * `sharedRunWords` words in a row in common (n-grams).
 */
import type { Library } from '../library/library.ts';
import { OverlapIndex, overlapKind, type OverlapKind } from './overlapIndex.ts';
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
  /** Further questions of which a run of words stands there; absent in results of versions that did not look for them. */
  run?: number;
  /** Pairs of ids: of the question, of the nearest text, and the share of words they have in common (1 = exact; below that of near ones: a run of words). */
  pairs: { question: string; text: string; overlap: number }[];
}

export function contaminationOf(source: TextSource, { benchmark, questions }: BenchmarkTexts): Contamination {
  const index = new OverlapIndex(source.texts);
  const pairs = questions.flatMap(({ id, texts }) => {
    const nearest = texts.flatMap((text) => index.nearest(text) ?? []).sort((a, b) => b.overlap - a.overlap)[0];
    return nearest ? [{ question: id, text: nearest.id, overlap: nearest.overlap }] : [];
  });
  const count = (kind: OverlapKind): number => pairs.filter(({ overlap }) => overlapKind(overlap) === kind).length;
  return {
    ...{ source: source.name, use: source.use, texts: source.texts.length },
    ...{ benchmark, questions: questions.length },
    ...{ exact: count('exact'), near: count('near'), run: count('run'), pairs },
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
