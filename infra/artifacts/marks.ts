/** What reviewers have said of a run's chains: one document a mark, `runs/<id>/marks/<number>.json`, never changed. The contents are the caller's. */
import type { ArtifactStore } from './artifactStore.ts';
import { checkSegment } from './keys.ts';

/** Keeps marks, each under the next free number: of two writers at once each gets numbers of its own. */
export async function saveMarks<T extends object>(
  store: ArtifactStore,
  runId: string,
  marks: readonly T[],
): Promise<(T & { number: number })[]> {
  let number = Math.max(0, ...(await marksOf(store, runId)).map((place) => place.number));
  const kept: (T & { number: number })[] = [];
  for (const mark of marks) {
    for (;;) {
      number += 1;
      const numbered = { ...mark, number };
      if ((await store.putDocument(keyOf(runId, number), numbered, 'ifAbsent')).adopted) continue;
      kept.push(numbered);
      break;
    }
  }
  return kept;
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
