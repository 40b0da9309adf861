/** Reads everything that a run has left again, and compares it with what it should be. */
import type { ArtifactStore } from './artifactStore.ts';
import { ArtifactCorruptError, ArtifactMissingError } from './errors.ts';
import { readAudit } from './audit.ts';
import { Trace, eachAtOnce, indexStore } from './lineage.ts';
import type { StoreIndex, TracedArtifact } from './lineage.ts';
import { loadRun } from './runs.ts';

export interface Verification {
  runId: string;
  whole: boolean;
  /** By kind, in alphabetical order: record, iteration, course, audit, history and step are documents, all else objects. */
  kinds: VerifiedKind[];
  damages: Damage[];
  /** Digests of rotten objects that were removed. */
  removed: string[];
}

export interface VerifiedKind {
  kind: string;
  artifacts: number;
  /** Of objects. */
  bytes: number;
  damaged: number;
}

/** `step`: a step computes it again. `stage`: its stage puts it again when it runs. `source`: put again if what it was made from is still there. */
export type Recovery = 'step' | 'stage' | 'source' | 'none';

export interface Damage {
  /** Digest, or key of a document. */
  name: string;
  kind: string;
  fault: 'rotten' | 'missing' | 'unreadable';
  referredBy: string[];
  recovery: Recovery;
  remedy: string;
}

export interface VerifyOptions {
  /** Remove rotten outputs of steps, so that the steps count as not done. What stages put by content they replace without that. */
  repair?: boolean;
  onProgress?: (done: { artifacts: number; of: number; bytes: number }) => void;
  signal?: AbortSignal;
}

/** Beside the outputs of steps everything is put again by the stage that made it, but for these. */
const SOURCES = new Map([
  ['configuration', 'put again by `cada train` with the same configuration file'],
  [
    'library',
    'put again by `cada train` with the same configuration, if the library files and benchmarks are unchanged',
  ],
  ['model', 'put again by the stage "prepare" from the model\'s source'],
  ['model-file', 'put again by the stage "prepare", if the model\'s source still gives the same file'],
]);

/**
 * Follows the record of a run, its iterations and histories, and the manifests of steps in both directions, and hashes each object that it meets.
 * A step that was removed as garbage is no damage: nothing refers to its outputs any more.
 *
 * @throws where the store does not answer, or the signal is aborted
 */
export async function verifyRun(
  store: ArtifactStore,
  runId: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const index = await indexStore(store);
  const trace = new Trace(store, index, { inputs: true, outputs: true });
  await trace.addRun(runId);
  // Where the record itself is rotten, whether the run is over is not known.
  const state = trace.unreadable.some(({ kind }) => kind === 'record')
    ? undefined
    : (await loadRun<{ state?: string }>(store, runId))?.record?.state;

  const faults = new Map<string, Damage['fault']>();
  const done = { artifacts: 0, of: trace.artifacts.size, bytes: 0 };
  await eachAtOnce(trace.artifacts.values(), async (artifact) => {
    options.signal?.throwIfAborted();
    const fault = await faultOf(store, artifact);
    if (fault) faults.set(artifact.sha256, fault);
    done.artifacts++;
    done.bytes += artifact.bytes;
    options.onProgress?.(done);
  });

  const damages = [
    ...documentDamages(trace, index),
    ...(await auditDamages(store, runId)),
    ...objectDamages(trace, faults, state),
  ];
  const removed = options.repair ? await removeRotten(store, damages) : [];
  return { runId, whole: damages.length === 0, kinds: countKinds(trace, damages), damages, removed };
}

async function faultOf(store: ArtifactStore, artifact: TracedArtifact): Promise<Damage['fault'] | undefined> {
  try {
    await store.checkObject({ ...artifact, uri: `${store.uri}/objects/${artifact.sha256}` });
    return undefined;
  } catch (error) {
    if (error instanceof ArtifactMissingError) return 'missing';
    if (error instanceof ArtifactCorruptError) return 'rotten';
    throw error;
  }
}

function documentDamages(trace: Trace, index: StoreIndex): Damage[] {
  const ofRun = trace.unreadable.filter(({ name, kind }) => trace.documents.has(name) && kind !== 'audit');
  return [
    ...ofRun.map(({ name, kind }): Damage => ({
      name,
      kind,
      fault: 'unreadable',
      referredBy: ['the run'],
      recovery: 'none',
      remedy:
        kind === 'history'
          ? "can't be computed again: restore it from a copy of the store, or delete it; training does not need it"
          : "can't be computed again: restore it from a copy of the store. What only it referred to was not checked",
    })),
    ...index.unreadableSteps.map((name): Damage => ({
      name,
      kind: 'step',
      fault: 'unreadable',
      referredBy: ['the store; of which run it was is not known'],
      recovery: 'step',
      remedy: 'counts as absent: the step is computed again, and the manifest replaced, when a run needs it',
    })),
  ];
}

/** The audit log is a chain: its first broken link is told. */
async function auditDamages(store: ArtifactStore, runId: string): Promise<Damage[]> {
  const { broken } = await readAudit(store, runId);
  if (!broken) return [];
  return [
    {
      name: `runs/${runId}/audit/${broken.number}.json`,
      kind: 'audit',
      fault: broken.removed ? 'missing' : 'rotten',
      referredBy: ['the chain of the audit log'],
      recovery: 'none',
      remedy: `the entry ${broken.fault}. It can't be computed again: restore the folder audit/ from a copy of the store`,
    },
  ];
}

function objectDamages(trace: Trace, faults: Map<string, Damage['fault']>, state: string | undefined): Damage[] {
  return [...faults].map(([name, fault]): Damage => {
    const { kind, referredBy } = trace.artifacts.get(name)!;
    const maker = trace.makerOf(name);
    const recovery: Recovery = maker ? 'step' : SOURCES.has(kind) ? 'source' : 'stage';
    const how = maker
      ? `computed again by its step (${maker.stage})`
      : (SOURCES.get(kind) ?? 'put again by its stage when that runs again');
    return { name, kind, fault, referredBy, recovery, remedy: `${how}. ${whatToDo(fault, recovery, kind, state)}` };
  });
}

function whatToDo(fault: Damage['fault'], recovery: Recovery, kind: string, state: string | undefined): string {
  if (kind === 'configuration' || kind === 'library') return 'Repeat that command.';
  const remove =
    fault === 'rotten' && recovery === 'step' ? 'Remove it with `cada verify --repair`, then ' : 'For that ';
  const anew = 'with its configuration goes through all stages again, finds what is sound and computes what is not';
  switch (state) {
    case 'done':
      return `${remove}start \`cada train --fresh\`: this run is done and does nothing again, another one computes what is damaged and finds the rest. Or restore it from a copy of the store.`;
    case 'failed':
    case 'cancelled':
    case 'stopped':
      return `${remove}start it again: \`cada train\` ${anew}.`;
    default:
      return `${remove}where the run waits for it: \`cada retry\` if the stage that waits made it; else \`cada stop\`, and \`cada train\` ${anew}.`;
  }
}

async function removeRotten(store: ArtifactStore, damages: Damage[]): Promise<string[]> {
  const rotten = damages.filter(({ fault, recovery }) => fault === 'rotten' && recovery === 'step');
  for (const { name } of rotten) await store.deleteObject(name);
  return rotten.map(({ name }) => name);
}

function countKinds(trace: Trace, damages: Damage[]): VerifiedKind[] {
  const kinds = new Map<string, VerifiedKind>();
  const count = (kind: string, bytes: number): void => {
    const counted = kinds.get(kind) ?? { kind, artifacts: 0, bytes: 0, damaged: 0 };
    counted.artifacts++;
    counted.bytes += bytes;
    kinds.set(kind, counted);
  };
  for (const kind of trace.documents.values()) count(kind, 0);
  trace.steps.forEach(() => count('step', 0));
  for (const { kind, bytes } of trace.artifacts.values()) count(kind, bytes);
  for (const { kind } of damages) {
    if (kind === 'step') count('step', 0); // an unreadable one
    if (!kinds.has(kind)) kinds.set(kind, { kind, artifacts: 0, bytes: 0, damaged: 0 });
    kinds.get(kind)!.damaged++;
  }
  return [...kinds.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1));
}
