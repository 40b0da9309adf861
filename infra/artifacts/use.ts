/** What the worker processes of a run have counted, one document a process: `use/<run>/<process>.json`, replaced by its process alone. */
import type { ArtifactStore } from './artifactStore.ts';
import { DocumentCorruptError } from './errors.ts';
import { checkSegment } from './keys.ts';

export interface StoredUse {
  storeRequests: number;
  heartbeats: number;
}

/** @param id of the run, or of the other work that activities were for */
export const useFolder = (id: string): string => `use/${checkSegment(id, 'id')}/`;

export async function saveUse(store: ArtifactStore, id: string, processName: string, use: StoredUse): Promise<void> {
  await store.putDocument(`${useFolder(id)}${checkSegment(processName, 'process')}.json`, use, 'replace');
}

/** The sum over all processes; undefined where none has counted. A document that is damaged is left out: a count is no reason to fail. */
export async function loadUse(store: ArtifactStore, id: string): Promise<StoredUse | undefined> {
  let total: StoredUse | undefined;
  for await (const key of store.listDocuments(useFolder(id))) {
    const found = await store.getDocument<Partial<StoredUse> | null>(key).catch(whereCorrupt);
    const { storeRequests, heartbeats } = found?.value ?? {};
    if (!Number.isSafeInteger(storeRequests) || !Number.isSafeInteger(heartbeats)) continue;
    total = {
      storeRequests: (total?.storeRequests ?? 0) + storeRequests!,
      heartbeats: (total?.heartbeats ?? 0) + heartbeats!,
    };
  }
  return total;
}

function whereCorrupt(error: unknown): undefined {
  if (!(error instanceof DocumentCorruptError)) throw error;
}
