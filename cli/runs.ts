/** Finding runs: which one a command means, and what is recorded of it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../infra/artifacts/artifactStore.ts';
import type { ArtifactRef, ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { latestRun, listRuns, loadRun } from '../infra/artifacts/runs.ts';
import type { SavedRun } from '../infra/artifacts/runs.ts';
import { nearestName } from '../infra/configuration/nearestName.ts';
import { runFolders } from '../infra/paths.ts';
import type { RunRecord } from '../activities/types.ts';
import { badEnvironment, badInput } from './errors.ts';

export interface FoundRun {
  store: ArtifactStore;
  runId: string;
  /** ISO time of the last change. */
  savedAt: string;
  record: RunRecord;
}

/**
 * The run that a command means: the named one (an id, or the beginning of one that fits no other), else the one whose record changed last.
 *
 * @throws CliError (bad input) where there is none, or several fit
 */
export async function findRun(storeUri: string, named?: string): Promise<FoundRun> {
  const store = await openStore(storeUri);
  const saved = await findSaved(store, named);
  if (!isRecord(saved)) {
    const { runId = named ?? '' } = saved as { runId?: string };
    throw badEnvironment(
      `The document ${store.uri}/runs/${runId}/run.json is not the record of a run.`,
      'Delete it, or restore it from a copy of the store.',
    );
  }
  return { store, runId: saved.runId, savedAt: saved.savedAt, record: saved.record };
}

async function findSaved(store: ArtifactStore, named?: string): Promise<SavedRun<RunRecord>> {
  const saved = named === undefined ? await latestRun<RunRecord>(store) : await loadNamed(store, named);
  if (saved) return saved;
  const remedy = 'Start one with `cada train`, or name another store with --store or CADA_STORE.';
  throw badInput(`There is no run in ${store.uri} yet.`, remedy);
}

/** What every command reads of a record: a store may have been edited, or be of another program. */
function isRecord({ runId, savedAt, record }: { runId?: unknown; savedAt?: unknown; record?: unknown }): boolean {
  if (typeof runId !== 'string' || typeof savedAt !== 'string' || typeof record !== 'object' || !record) return false;
  const { state, stage, iteration, configuration, evaluations, wallSeconds } = record as Partial<RunRecord>;
  return (
    [state, stage, configuration?.sha256].every((text) => typeof text === 'string') &&
    typeof iteration === 'number' &&
    [evaluations, wallSeconds].every((part) => typeof part === 'object' && part !== null)
  );
}

/** Like {@link findRun}, for its id only: also a run whose record is damaged is found by its whole id. */
export async function runIdIn(storeUri: string, named?: string): Promise<string> {
  const store = await openStore(storeUri);
  if (named !== undefined) {
    for await (const runId of store.listFolders('runs/')) if (runId === named) return runId;
  }
  return (await findSaved(store, named)).runId;
}

async function loadNamed(store: ArtifactStore, named: string): Promise<SavedRun<RunRecord> | undefined> {
  const ids = await listRuns(store);
  if (ids.length === 0) return undefined;
  const fitting = ids.includes(named) ? [named] : ids.filter((id) => id.startsWith(named));
  const [only] = fitting;
  if (fitting.length > 1) throw badInput(`"${named}" fits several runs: ${fitting.join(', ')}.`, 'Write one in full.');
  if (only !== undefined) return loadRun<RunRecord>(store, only);
  const nearest = nearestName(named, ids);
  const remedy = nearest ? `Did you mean ${nearest}?` : '`cada runs` lists them.';
  throw badInput(`There is no run "${named}" in ${store.uri}.`, remedy);
}

/**
 * Whether the embedded Temporal server of a run is up, by the record beside its database. Another machine's servers are not seen.
 */
export async function hasLiveServer(home: string, runId: string): Promise<boolean> {
  try {
    const file = join(runFolders(home, runId).temporalDatabase, '..', 'server.json');
    const { pid } = JSON.parse(await readFile(file, 'utf8')) as { pid: number };
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function readJsonArtifact<T>(store: ArtifactStore, ref: ArtifactRef): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await store.getBytes(ref))) as T;
}
