/** Draftings of cases: one document each, `draftings/<id>.json`. What it names stays in the store as long as it does. The contents are the caller's. */
import type { ArtifactStore } from './artifactStore.ts';
import { checkSegment } from './keys.ts';

export const DRAFTINGS = 'draftings/';

/** Of `draftings/<id>.json`. */
export const draftingOf = (key: string): string => key.slice(DRAFTINGS.length).replace(/\.json$/, '');

const keyOf = (id: string): string => `${DRAFTINGS}${checkSegment(id, 'id of a drafting')}.json`;

/** Before its work: what was known of it from an earlier time stays. */
export async function announceDrafting(store: ArtifactStore, id: string, inputs: object): Promise<void> {
  await store.putDocument(keyOf(id), inputs, 'ifAbsent');
}

export async function saveDrafting(store: ArtifactStore, id: string, drafting: object): Promise<void> {
  await store.putDocument(keyOf(id), drafting, 'replace');
}

export async function listDraftings(store: ArtifactStore): Promise<string[]> {
  const ids: string[] = [];
  for await (const key of store.listDocuments(DRAFTINGS)) ids.push(draftingOf(key));
  return ids;
}
