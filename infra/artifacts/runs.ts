import pLimit from 'p-limit';
import type { ArtifactStore } from './artifactStore.ts';
import { checkSegment } from './keys.ts';

/**
 * What a run leaves beside its steps, below `runs/<runId>/`: its record (`run.json`, the only file that changes), one file
 * a finished iteration (`iterations/<epoch>-<n>.json`; the epoch rises at a roll-back), one file a change of its course
 * (`course/<n>.json`) and the histories of its workflows (`history/<name>.json`). The contents are the caller's; here they are plain JSON.
 */

const READS_AT_ONCE = 8;

export interface SavedRun<T> {
  runId: string;
  /** ISO time of the first record; absent in records of older versions. */
  startedAt?: string;
  /** ISO time of the last change. */
  savedAt: string;
  record: T;
  etag: string;
}

export interface SavedIteration<T> {
  epoch: number;
  n: number;
  value: T;
}

/**
 * Writes a run's record: the first time without `etag`, later with the one that was read.
 *
 * @throws DocumentConflictError where somebody else changed it since
 */
export async function saveRun<T>(
  store: ArtifactStore,
  runId: string,
  record: T,
  etag?: string,
  now: Date = new Date(),
): Promise<SavedRun<T> & { adopted: boolean }> {
  const savedAt = now.toISOString();
  const before = etag === undefined ? undefined : await loadRun<T>(store, runId);
  const startedAt = before ? before.startedAt : savedAt;
  const document = { runId, ...(startedAt === undefined ? {} : { startedAt }), savedAt, record };
  const put = await store.putDocument(
    runDocument(runId),
    document,
    etag === undefined ? 'ifAbsent' : { ifMatch: etag },
  );
  return { ...(put.value as typeof document), etag: put.etag, adopted: put.adopted };
}

export async function loadRun<T>(store: ArtifactStore, runId: string): Promise<SavedRun<T> | undefined> {
  const found = await store.getDocument<Omit<SavedRun<T>, 'etag'>>(runDocument(runId));
  return found && { ...found.value, etag: found.etag };
}

/** Ids of the runs that have a record, in alphabetical order. */
export async function listRuns(store: ArtifactStore): Promise<string[]> {
  const ids = await collect(store.listFolders('runs/'));
  const found = await readAll(ids, (id) => store.getDocument(runDocument(id)));
  return ids.filter((_, i) => found[i] !== undefined).sort();
}

/** The run whose record changed last. */
export async function latestRun<T>(store: ArtifactStore): Promise<SavedRun<T> | undefined> {
  const ids = await collect(store.listFolders('runs/'));
  const runs = await readAll(ids, (id) => loadRun<T>(store, id));
  return runs.reduce((latest, run) => (run && (!latest || run.savedAt > latest.savedAt) ? run : latest), undefined);
}

/** Writes a finished iteration once; a second writer gets the first one's value (`adopted`). */
export async function saveIteration<T>(
  store: ArtifactStore,
  runId: string,
  epoch: number,
  n: number,
  value: T,
): Promise<{ value: T; adopted: boolean }> {
  if (![epoch, n].every((number) => Number.isSafeInteger(number) && number >= 0)) {
    throw new RangeError(`iteration ${epoch}-${n} of run ${runId}: epoch and number must be whole and not negative`);
  }
  const put = await store.putDocument(`${runFolder(runId)}iterations/${epoch}-${n}.json`, value, 'ifAbsent');
  return { value: put.value as T, adopted: put.adopted };
}

/** Finished iterations by epoch, then number, with what was saved of each. */
export async function listIterations<T>(store: ArtifactStore, runId: string): Promise<SavedIteration<T>[]> {
  const places = await iterationPlaces(store, runId);
  const values = await readAll(places, ({ key }) => store.getDocument<T>(key));
  return places.flatMap(({ epoch, n }, i) => (values[i] ? [{ epoch, n, value: values[i].value }] : []));
}

/** One finished iteration, or undefined. */
export async function loadIteration<T>(
  store: ArtifactStore,
  runId: string,
  epoch: number,
  n: number,
): Promise<T | undefined> {
  return (await store.getDocument<T>(`${runFolder(runId)}iterations/${epoch}-${n}.json`))?.value;
}

/**
 * The iterations that lead to iteration `upTo` of epoch `epoch`, in order, without reading them: of each number the one of the highest epoch, since a
 * later epoch begins where an earlier one was given up.
 */
export async function iterationLine(
  store: ArtifactStore,
  runId: string,
  epoch: number,
  upTo: number,
): Promise<{ epoch: number; n: number }[]> {
  const line = new Map<number, { epoch: number; n: number }>();
  for (const { epoch: found, n } of await iterationPlaces(store, runId)) {
    if (found <= epoch && n <= upTo) line.set(n, { epoch: found, n });
  }
  return [...line.values()].sort((a, b) => a.n - b.n);
}

/** The iterations that lead to where a run stands, in order, the warm start first: what was given up at a roll-back is not among them. */
export async function listLine<T>(
  store: ArtifactStore,
  runId: string,
  { epoch = 0, iteration }: { epoch?: number; iteration: number },
): Promise<SavedIteration<T>[]> {
  const places = await iterationLine(store, runId, epoch, iteration);
  const values = await readAll(places, (place) => loadIteration<T>(store, runId, place.epoch, place.n));
  return places.flatMap((place, i) => (values[i] === undefined ? [] : [{ ...place, value: values[i] }]));
}

/** Writes what was changed about a run's course once; a second writer gets the first one's value. */
export async function saveCourse<T>(store: ArtifactStore, runId: string, number: number, value: T): Promise<T> {
  return (await store.putDocument(`${runFolder(runId)}course/${number}.json`, value, 'ifAbsent')).value as T;
}

/** What was changed about a run's course, in order. */
export async function listCourse<T>(store: ArtifactStore, runId: string): Promise<T[]> {
  const prefix = `${runFolder(runId)}course/`;
  const numberOf = (key: string): number => Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0);
  const keys = (await collect(store.listDocuments(prefix))).sort((a, b) => numberOf(a) - numberOf(b));
  return (await readAll(keys, (key) => store.getDocument<T>(key))).flatMap((found) => (found ? [found.value] : []));
}

/** The last of {@link listIterations}, reading only that one. */
export async function newestIteration<T>(store: ArtifactStore, runId: string): Promise<SavedIteration<T> | undefined> {
  const last = (await iterationPlaces(store, runId)).at(-1);
  const found = last && (await store.getDocument<T>(last.key));
  return found && { epoch: last.epoch, n: last.n, value: found.value };
}

/** Of a run, beside its record (`runs/<id>/history/`), or of other work: a study, an evaluation, a drafting (`histories/<id>/`). */
export type HistoryOwner = 'run' | 'other work';

/** @param id of the run, or of the other work */
export const historyFolder = (id: string, owner: HistoryOwner): string =>
  owner === 'run' ? `${runFolder(id)}history/` : `histories/${checkSegment(id, 'id')}/`;

/** Documents with what a run, an evaluation or a study has spent of its budgets (infra/endpoints/storedSpending.ts). */
export const spendingFolder = (id: string): string => `spending/${checkSegment(id, 'id')}/`;

/** Keeps a workflow's finished history; an earlier one of the same name is replaced. */
export async function saveHistory(
  store: ArtifactStore,
  id: string,
  name: string,
  history: unknown,
  owner: HistoryOwner = 'run',
): Promise<void> {
  const key = `${historyFolder(id, owner)}${checkSegment(name, 'history name')}.json`;
  await store.putDocument(key, history, 'replace');
}

/** Names under which histories were saved. */
export async function listHistories(store: ArtifactStore, id: string, owner: HistoryOwner = 'run'): Promise<string[]> {
  const prefix = historyFolder(id, owner);
  return (await collect(store.listDocuments(prefix))).map((key) => key.slice(prefix.length, -'.json'.length));
}

export async function loadHistory<T>(
  store: ArtifactStore,
  id: string,
  name: string,
  owner: HistoryOwner = 'run',
): Promise<T | undefined> {
  const found = await store.getDocument<T>(`${historyFolder(id, owner)}${checkSegment(name, 'history name')}.json`);
  return found?.value;
}

async function iterationPlaces(store: ArtifactStore, runId: string) {
  const prefix = `${runFolder(runId)}iterations/`;
  const places = (await collect(store.listDocuments(prefix))).flatMap((key) => {
    const match = /^(\d+)-(\d+)\.json$/.exec(key.slice(prefix.length));
    return match ? [{ key, epoch: Number(match[1]), n: Number(match[2]) }] : [];
  });
  return places.sort((a, b) => a.epoch - b.epoch || a.n - b.n);
}

function runFolder(runId: string): string {
  return `runs/${checkSegment(runId, 'run id')}/`;
}

function runDocument(runId: string): string {
  return `${runFolder(runId)}run.json`;
}

async function readAll<I, O>(items: readonly I[], read: (item: I) => Promise<O>): Promise<O[]> {
  const limit = pLimit(READS_AT_ONCE);
  return Promise.all(items.map((item) => limit(() => read(item))));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
