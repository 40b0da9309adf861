/** Approved drafts as new cases of a library: in contrast pairs, under a new version, without what must not be in it. */
import type { Case, Library } from '../../library/library.ts';
import { isNearDuplicate } from '../../library/nearDuplicates.ts';
import { bm25 } from '../bm25.ts';
import type { CaseDraft } from './caseDrafts.ts';
import { conflictWith } from './draftRequests.ts';

export interface Admission {
  /** Of the new cases: one more than the highest of the library. */
  version: number;
  /** Whole pairs, the harmful case first. */
  cases: Case[];
  /** Drafts that must not be added: duplicates, and requests that figures are made of. */
  refused: { id: string; why: string }[];
  /** Drafts without the other side of a pair. */
  unpaired: string[];
}

/**
 * @param approved drafts in the order of their file
 * @throws Error where the drafts' own names of pairs contradict each other.
 */
export function admitDrafts(approved: readonly CaseDraft[], library: Library): Admission {
  const refused: Admission['refused'] = [];
  const admitted: CaseDraft[] = [];
  for (const draft of approved) {
    const earlier = admitted.find(({ request }) => isNearDuplicate(request, draft.request));
    const why = earlier ? `draft "${earlier.id}" says the same in other words` : conflictWith(draft.request, library);
    if (why === undefined) admitted.push(draft);
    else refused.push({ id: draft.id, why });
  }
  const version = Math.max(0, ...library.cases.map((one) => one.version)) + 1;
  const { pairs, unpaired } = pairDrafts(admitted);
  const names = newPairNames(library.cases);
  const cases = pairs.flatMap(([harmful, harmless]) => {
    const pair = names(harmful.category);
    return [caseOf(harmful, pair, harmful.category, version), caseOf(harmless, pair, harmful.category, version)];
  });
  return { version, cases, refused, unpaired: unpaired.map(({ id }) => id) };
}

/**
 * Contrast pairs: those that the drafts name themselves; of the others a harmful draft and the harmless one of its category whose request is nearest by
 * BM25, the nearest pairs first, each draft in one pair.
 */
export function pairDrafts(drafts: readonly CaseDraft[]): { pairs: [CaseDraft, CaseDraft][]; unpaired: CaseDraft[] } {
  const found = new Map<CaseDraft, CaseDraft>();
  for (const [name, named] of Map.groupBy(
    drafts.filter(({ pair }) => pair !== undefined),
    ({ pair }) => pair!,
  )) {
    const harmful = named.filter(({ kind }) => kind === 'harmful');
    const harmless = named.filter(({ kind }) => kind !== 'harmful');
    if (harmful.length > 1 || harmless.length > 1)
      throw new Error(
        `pair "${name}" has ${harmful.length} harmful and ${harmless.length} harmless drafts: one of each`,
      );
    if (harmful[0] && harmless[0]) found.set(harmful[0], harmless[0]);
  }
  const free = drafts.filter(({ pair }) => pair === undefined);
  for (const ofCategory of Map.groupBy(free, ({ category }) => category).values()) {
    const harmless = ofCategory.filter(({ kind }) => kind !== 'harmful');
    const score = bm25(
      harmless.map(({ request }) => request),
      { k1: 1.2, b: 0.75 },
    );
    const possible = ofCategory
      .filter(({ kind }) => kind === 'harmful')
      .flatMap((one) => score(one.request).map((nearness, index) => ({ one, other: harmless[index]!, nearness })));
    const taken = new Set<CaseDraft>();
    // Sorting keeps the drafts' own order among equals.
    for (const { one, other } of possible.sort((a, b) => b.nearness - a.nearness)) {
      if (taken.has(one) || taken.has(other)) continue;
      taken.add(one).add(other);
      found.set(one, other);
    }
  }
  const paired = new Set([...found.keys(), ...found.values()]);
  return {
    pairs: drafts.flatMap((draft): [CaseDraft, CaseDraft][] => {
      const other = found.get(draft);
      return other ? [[draft, other]] : [];
    }),
    unpaired: drafts.filter((draft) => !paired.has(draft)),
  };
}

/** `<category>-<number>`, counted on from what the library has. */
function newPairNames(cases: readonly Case[]): (category: string) => string {
  const taken = new Set(cases.flatMap(({ pair, id }) => [pair, id.replace(/-(harmful|harmless)$/, '')]));
  return (category) => {
    let number = 1;
    while (taken.has(`${category}-${number}`)) number += 1;
    taken.add(`${category}-${number}`);
    return `${category}-${number}`;
  };
}

function caseOf(draft: CaseDraft, pair: string, category: string, version: number): Case {
  const label = draft.kind === 'harmful' ? 'harmful' : 'harmless';
  const { request, analysis, verdict, response } = draft;
  return { id: `${pair}-${label}`, category, pair, label, request, analysis, verdict, response, version };
}
