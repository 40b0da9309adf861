/**
 * Work that is no run: studies, evaluations, draftings of cases. Its documents are `<kind>/<id>.json` and `<kind>/<id>/<part>.json`, its histories
 * `histories/<id>/<name>.json`. What they name stays in the store as long as they do. The contents are the caller's.
 */
import type { ArtifactStore } from './artifactStore.ts';
import { checkSegment } from './keys.ts';

const folders = {
  study: 'studies/',
  evaluation: 'evaluations/',
  drafting: 'draftings/',
  history: 'histories/',
} as const;
export type OtherWorkKind = Exclude<keyof typeof folders, 'history'>;

export interface OtherWorkDocument {
  id: string;
  /** A history says nothing about whose it is. */
  kind: keyof typeof folders;
  key: string;
}

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

/** All documents of other work, in no order: first of each kind, then the histories. */
export async function* listOtherWork(store: ArtifactStore): AsyncIterable<OtherWorkDocument> {
  for (const [kind, folder] of Object.entries(folders) as [keyof typeof folders, string][]) {
    for await (const key of store.listDocuments(folder)) {
      const id = key.slice(folder.length).replace(/(\/.*|\.json)$/, '');
      yield { id, kind, key };
    }
  }
}
