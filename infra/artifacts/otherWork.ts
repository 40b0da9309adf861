/**
 * Work that is no run: studies, evaluations, draftings of cases. Its documents are `<kind>/<id>.json` and `<kind>/<id>/<part>.json`, a study's plan
 * `studyPlans/<id>/<digest>.json`, its histories `histories/<id>/<name>.json`. What they name stays in the store as long as they do. The contents are the caller's.
 */
import type { ArtifactRef, ArtifactStore } from './artifactStore.ts';
import { checkSegment } from './keys.ts';

const folders = {
  study: 'studies/',
  evaluation: 'evaluations/',
  drafting: 'draftings/',
} as const;
export type OtherWorkKind = keyof typeof folders;

export interface OtherWorkDocument {
  id: string;
  /** A history says nothing about whose it is. */
  kind: OtherWorkKind | 'history';
  key: string;
  /** What it names may be gone: older versions did not keep it. */
  mayMiss: boolean;
}

const plansFolder = 'studyPlans/';

/** In the order in which they are listed. */
const listed: readonly (Omit<OtherWorkDocument, 'id' | 'key'> & { folder: string })[] = [
  { folder: folders.study, kind: 'study', mayMiss: false },
  { folder: plansFolder, kind: 'study', mayMiss: true },
  { folder: folders.evaluation, kind: 'evaluation', mayMiss: true },
  { folder: folders.drafting, kind: 'drafting', mayMiss: false },
  { folder: 'histories/', kind: 'history', mayMiss: true },
];

const keyOf = (kind: OtherWorkKind, id: string): string =>
  `${folders[kind]}${checkSegment(id, `id of a ${kind}`)}.json`;

/** Before its work: what was known of it from an earlier time stays. */
export async function announceWork(
  store: ArtifactStore,
  kind: OtherWorkKind,
  id: string,
  inputs: object,
): Promise<void> {
  await store.putDocument(keyOf(kind, id), inputs, 'ifAbsent');
}

/** What it has come to. */
export async function saveWork(store: ArtifactStore, kind: OtherWorkKind, id: string, outcome: object): Promise<void> {
  await store.putDocument(keyOf(kind, id), outcome, 'replace');
}

/**
 * Before a study's work: the plan that names what its units are made from, also those whose turn is still to come. With other hypotheses a study has
 * another plan under the same id: each has a document of its own.
 */
export async function announceStudyPlan(store: ArtifactStore, studyId: string, plan: ArtifactRef): Promise<void> {
  const key = `${plansFolder}${checkSegment(studyId, 'id of a study')}/${plan.sha256.slice(0, 16)}.json`;
  await store.putDocument(key, { studyId, plan }, 'ifAbsent');
}

/** All documents of other work, in no order: first of each kind, then the histories. */
export async function* listOtherWork(store: ArtifactStore): AsyncIterable<OtherWorkDocument> {
  for (const { folder, ...rest } of listed) {
    for await (const key of store.listDocuments(folder)) {
      const id = key.slice(folder.length).replace(/(\/.*|\.json)$/, '');
      yield { ...rest, id, key };
    }
  }
}
