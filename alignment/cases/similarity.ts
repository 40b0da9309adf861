/** How near the cases of a library are to a request: by shared words, or by vectors that the policy's base model gives both. */
import { similaritySettings, type CaseSamplingSettings } from '../configuration/caseSampling.ts';
import type { Case } from '../library/library.ts';
import { bm25, type Bm25 } from './bm25.ts';

/** A vector for each text. */
export type TextVectors = ReadonlyMap<string, ArrayLike<number>>;

/**
 * The nearness of each pair's harmful case to the request, by the pair's name; larger is nearer. `bm25` counts words over the requests of all cases.
 * @throws Error where `embeddings` are asked for and a text has no vector.
 */
export function nearnessOfPairs(
  cases: readonly Case[],
  request: string,
  settings: CaseSamplingSettings,
  vectors?: TextVectors,
): Map<string, number> {
  const { by, k1, b } = similaritySettings(settings);
  const scores =
    by === 'bm25'
      ? indexOf(cases, k1, b)(request)
      : cases.map((one) =>
          one.label === 'harmful' ? cosine(vectorOf(one.request, vectors), vectorOf(request, vectors)) : 0,
        );
  return new Map(cases.flatMap((one, index) => (one.label === 'harmful' ? [[one.pair, scores[index]!]] : [])));
}

/** The texts whose vectors `nearnessOfPairs` asks for beside the requests themselves. */
export function comparedTexts(cases: readonly Pick<Case, 'label' | 'request'>[]): string[] {
  return [...new Set(cases.flatMap(({ label, request }) => (label === 'harmful' ? [request] : [])))];
}

/** One index a list of cases and settings: a plan asks for each of its requests. */
const indices = new WeakMap<readonly Case[], Map<string, Bm25>>();

function indexOf(cases: readonly Case[], k1: number, b: number): Bm25 {
  const ofCases = indices.get(cases) ?? new Map<string, Bm25>();
  indices.set(cases, ofCases);
  const key = `${k1} ${b}`;
  const known = ofCases.get(key);
  if (known) return known;
  const made = bm25(
    cases.map(({ request }) => request),
    { k1, b },
  );
  ofCases.set(key, made);
  return made;
}

function vectorOf(text: string, vectors: TextVectors | undefined): ArrayLike<number> {
  const vector = vectors?.get(text);
  if (!vector) throw new Error('sampling by embeddings: a request or a case has no vector yet');
  return vector;
}

/** 0 where one of them is all zeros. */
export function cosine(one: ArrayLike<number>, other: ArrayLike<number>): number {
  if (one.length !== other.length) throw new Error(`vectors of ${one.length} and of ${other.length} numbers`);
  let [product, ofOne, ofOther] = [0, 0, 0];
  for (let index = 0; index < one.length; index++) {
    product += one[index]! * other[index]!;
    ofOne += one[index]! ** 2;
    ofOther += other[index]! ** 2;
  }
  return product === 0 ? 0 : product / Math.sqrt(ofOne * ofOther);
}
