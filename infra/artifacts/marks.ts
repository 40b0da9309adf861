/** What reviewers have said of a run's chains: one document a mark, `runs/<id>/marks/<number>.json`, never changed. The contents are the caller's. */
import type { ArtifactStore } from './artifactStore.ts';
import { checkSegment } from './keys.ts';

/** Keeps a mark under the next free number: of two writers at once each gets a number of its own. */
export async function saveMark<T extends object>(
  store: ArtifactStore,
  runId: string,
  mark: T,
): Promise<T & { number: number }> {
  for (let number = Math.max(0, ...(await marksOf(store, runId)).map((place) => place.number)) + 1; ; number++) {
    const numbered = { ...mark, number };
    const { adopted } = await store.putDocument(keyOf(runId, number), numbered, 'ifAbsent');
    if (!adopted) return numbered;
  }
}

/** By number. */
export async function listMarks<T>(store: ArtifactStore, runId: string): Promise<T[]> {
  const marks: T[] = [];
  for (const { key } of await marksOf(store, runId)) {
    const found = await store.getDocument<T>(key);
    if (found) marks.push(found.value);
  }
  return marks;
}

async function marksOf(store: ArtifactStore, runId: string): Promise<{ key: string; number: number }[]> {
  const prefix = `runs/${checkSegment(runId, 'run id')}/marks/`;
  const places: { key: string; number: number }[] = [];
  for await (const key of store.listDocuments(prefix)) {
    const number = /^(\d+)\.json$/.exec(key.slice(prefix.length))?.[1];
    if (number !== undefined) places.push({ key, number: Number(number) });
  }
  return places.sort((a, b) => a.number - b.number);
}

const keyOf = (runId: string, number: number): string => `runs/${checkSegment(runId, 'run id')}/marks/${number}.json`;
