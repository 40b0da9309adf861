/** What a store holds that no run, study, evaluation or drafting needs any more: found by following references from all of them, removed only when old enough. */
import type { ArtifactStore, StoredObject } from './artifactStore.ts';
import { DocumentCorruptError } from './errors.ts';
import { Trace, eachAtOnce, indexStore } from './lineage.ts';
import type { UnreadableReferrer } from './lineage.ts';
import { listOtherWork, type OtherWorkDocument } from './otherWork.ts';
import { loadRun, spendingFolder } from './runs.ts';
import { useFolder } from './use.ts';
import { forgetStep } from './steps.ts';
import type { StepManifest } from './steps.ts';

/** States in which a run never needs more than its records tell. */
const ENDED = new Set(['done', 'failed', 'stopped', 'cancelled']);
/** Larger objects that no step made are data, not lists: they are kept while they are recent, without being read. */
const LARGEST_RECENT_LIST = 8 * 1024 * 1024;
/** Objects removed between two looks at whether a run has begun. */
const BATCH = 500;

export interface GarbageOptions {
  /** What was put, or made by a step, within this time stays. Milliseconds. */
  olderThanMs: number;
  /** Keep every step, so that later runs of any earlier configuration find their work done. */
  keepSteps?: boolean;
  /** Runs, studies, evaluations and draftings that count as removed: their documents are garbage too. */
  forget?: readonly string[];
  now?: Date;
}

export interface StoredRun {
  runId: string;
  /** Undefined where there is no record, or it can't be read. */
  state?: string;
  startedAt?: string;
  savedAt?: string;
}

export interface Garbage {
  objects: StoredObject[];
  steps: StepManifest[];
  /** Documents of what is forgotten. */
  documents: string[];
  kept: { objects: number; bytes: number; steps: number };
  /** Unreferenced, but too recent to go. */
  recent: { objects: number; bytes: number };
  runs: StoredRun[];
  /** Studies, evaluations and draftings that are kept. */
  otherWork: Pick<OtherWorkDocument, 'id' | 'kind'>[];
  /** Why nothing may be removed now; empty where it may. */
  refusals: string[];
  /** What was put at or after this moment stays. */
  putBefore: Date;
}

/**
 * Finds garbage; removes nothing. Kept is whatever the documents of a run, a study, an evaluation or a drafting lead to, whatever is younger than the lease with all it leads to, and each
 * step that made something kept. While a run is at work, or has ended within the lease, also every step whose inputs are all kept: the run's shards are known to nobody else until
 * its next iteration is recorded, but the plan that names their inputs was put by the run itself, and is younger than the run.
 */
export async function findGarbage(store: ArtifactStore, options: GarbageOptions): Promise<Garbage> {
  const now = options.now ?? new Date();
  const putBefore = new Date(now.getTime() - options.olderThanMs);
  const forgotten = new Set(options.forget);
  // Runs first: what a run puts that begins after this is younger than the lease.
  const all = await storedRuns(store);
  const runs = all.filter(({ runId }) => !forgotten.has(runId));
  const index = await indexStore(store);
  // The histories of a run that has just ended may not be kept yet: until then nobody else names all that it found.
  const needsSteps = runs.some((run) => isAtWork(run) || hasEndedSince(run, putBefore));
  const trace = new Trace(store, index, { inputs: false, outputs: needsSteps });
  for (const { runId } of runs) await trace.addRun(runId);
  await trace.addOtherWork(forgotten);
  const fromRuns = new Set(trace.artifacts.keys());
  const damage = damageOf(trace);

  const recent = [...index.objects.values()].filter(({ putAt }) => putAt >= putBefore);
  for (const object of recent) {
    const isList = !trace.makerOf(object.sha256) && object.bytes <= LARGEST_RECENT_LIST;
    trace.addObject(object, isList ? 'recent' : 'data', 'it is recent');
  }
  for (const step of index.steps.values()) {
    const noInputs = trace.inputsOf(step).length === 0 && needsSteps;
    if (options.keepSteps || noInputs || !wasMadeBefore(step, putBefore)) trace.addStep(step);
  }
  await trace.settle();

  const documents: string[] = [];
  for (const id of forgotten) {
    for await (const key of store.listDocuments(`runs/${id}/`)) documents.push(key);
    for await (const key of store.listDocuments(spendingFolder(id))) documents.push(key);
    for await (const key of store.listDocuments(useFolder(id))) documents.push(key);
  }
  const otherWork = new Map<string, Garbage['otherWork'][number]>();
  for await (const { id, kind, key } of listOtherWork(store)) {
    if (forgotten.has(id)) documents.push(key);
    // A history alone is what an older version has left of what it forgot.
    else if (!otherWork.has(id)) otherWork.set(id, { id, kind });
  }
  const objects = [...index.objects.values()];
  const keptObjects = objects.filter(({ sha256 }) => trace.artifacts.has(sha256));
  const onlyRecent = recent.filter(({ sha256 }) => !fromRuns.has(sha256));
  return {
    objects: objects.filter(({ sha256 }) => !trace.artifacts.has(sha256)),
    steps: [...index.steps.values()].filter(({ key }) => !trace.steps.has(key)),
    documents,
    kept: { objects: keptObjects.length, bytes: bytesOf(keptObjects), steps: trace.steps.size },
    recent: { objects: onlyRecent.length, bytes: bytesOf(onlyRecent) },
    runs,
    otherWork: [...otherWork.values()],
    refusals: [...refusalsFor(all, forgotten, putBefore), ...damage],
    putBefore,
  };
}

/**
 * Removes what was found: records of forgotten runs, then manifests of steps, then objects, so that a stop at any moment leaves no manifest without
 * its outputs. An object that was put again since stays. Stops where a run has begun meanwhile.
 *
 * @throws Error where there are refusals, or a run has begun
 */
export async function removeGarbage(
  store: ArtifactStore,
  garbage: Garbage,
  onProgress: (removed: { objects: number; bytes: number }) => void = () => undefined,
): Promise<{ objects: number; bytes: number; steps: number }> {
  if (garbage.refusals.length > 0) throw new Error(garbage.refusals.join('\n'));
  const removed = { objects: 0, bytes: 0, steps: 0 };
  await requireSameRuns(store, garbage.runs, garbage.documents);
  // The record last: without it a stop would leave documents of a run that nobody can name.
  for (const key of [...garbage.documents].sort(
    (a, b) => Number(a.endsWith('/run.json')) - Number(b.endsWith('/run.json')),
  ))
    await store.deleteDocument(key);
  for (let start = 0; start < garbage.steps.length; start += BATCH) {
    await requireSameRuns(store, garbage.runs);
    await eachAtOnce(garbage.steps.slice(start, start + BATCH), async ({ key }) => {
      await forgetStep(store, key);
      removed.steps++;
    });
  }
  for (let start = 0; start < garbage.objects.length; start += BATCH) {
    await requireSameRuns(store, garbage.runs);
    await eachAtOnce(garbage.objects.slice(start, start + BATCH), async ({ sha256, bytes }) => {
      if (!(await store.deleteObject(sha256, garbage.putBefore))) return;
      removed.objects++;
      removed.bytes += bytes;
    });
    onProgress(removed);
  }
  return removed;
}

/** Every run that has left a document, also without a record. */
async function storedRuns(store: ArtifactStore): Promise<StoredRun[]> {
  const runs: StoredRun[] = [];
  for await (const runId of store.listFolders('runs/')) {
    try {
      const saved = await loadRun<{ state?: string }>(store, runId);
      if (!saved) {
        // A folder store keeps the empty folder of a run whose documents went.
        for await (const _ of store.listDocuments(`runs/${runId}/`)) {
          runs.push({ runId });
          break;
        }
      } else {
        const { startedAt, savedAt, record } = saved;
        const state = record?.state;
        runs.push({ runId, savedAt, ...(state ? { state } : {}), ...(startedAt ? { startedAt } : {}) });
      }
    } catch (error) {
      if (!(error instanceof DocumentCorruptError)) throw error;
      runs.push({ runId }); // told as unreadable, when it is traced
    }
  }
  return runs;
}

const isAtWork = ({ state }: StoredRun): boolean => state !== undefined && !ENDED.has(state);

const hasEndedSince = ({ savedAt }: StoredRun, moment: Date): boolean =>
  savedAt !== undefined && new Date(savedAt) >= moment;

/** What a run at work has put is safe only while all of it is younger than the lease. */
function refusalsFor(runs: StoredRun[], forgotten: Set<string>, putBefore: Date): string[] {
  return runs.filter(isAtWork).flatMap(({ runId, state, startedAt, savedAt }) => {
    if (forgotten.has(runId)) {
      if (savedAt !== undefined && new Date(savedAt) < putBefore) return [];
      return [
        `run ${runId} is ${state} and was at work since ${putBefore.toISOString()}: stop it before it is forgotten`,
      ];
    }
    const ways = 'let it end, stop it (`cada stop`), or forget it (--forget)';
    if (startedAt === undefined) return [`run ${runId} is ${state}, and when it began is not known: ${ways}`];
    if (new Date(startedAt) > putBefore) return [];
    return [`run ${runId} is ${state} since ${startedAt}, longer than --older-than: give a longer time, ${ways}`];
  });
}

function damageOf(trace: Trace): string[] {
  const why = ({ name, kind, reason }: UnreadableReferrer): string => {
    const at = trace.artifacts.get(name)?.referredBy.join(', ');
    return `${kind} ${name}${at ? ` (of ${at})` : ''} can't be followed: ${reason}. See \`cada verify\`; a run that can't be mended can be forgotten (--forget)`;
  };
  return trace.unreadable.map(why);
}

/** @param leaving documents of runs that are about to be forgotten */
async function requireSameRuns(store: ArtifactStore, runs: StoredRun[], leaving: string[] = []): Promise<void> {
  const before = new Map(runs.map((run) => [run.runId, isAtWork(run)]));
  for (const run of await storedRuns(store)) {
    if (leaving.some((key) => key.startsWith(`runs/${run.runId}/`))) continue;
    if (before.has(run.runId) && (before.get(run.runId) || !isAtWork(run))) continue;
    throw new Error(`run ${run.runId} has begun meanwhile: what it needs is not known yet. Repeat the command.`);
  }
}

function wasMadeBefore({ producedBy }: StepManifest, moment: Date): boolean {
  const end = new Date(producedBy?.startedAt).getTime() + (producedBy?.seconds || 0) * 1000;
  return end < moment.getTime(); // never, where it does not say
}

const bytesOf = (objects: StoredObject[]): number => objects.reduce((sum, { bytes }) => sum + bytes, 0);
