/**
 * What a run remembers, as its next execution is handed it: in payloads of at most 4096 bytes, wherever the store is. What display alone needs is cut
 * down, each address of a store is written once, and the release goes beside the rest. Pure: the command that starts a run again uses it too.
 */
import { rounded, roundedNumber } from './cardFigures.ts';
import type { RunMemory } from './runMemory.ts';
import type { ArtifactRef, ReleaseState } from '../activities/types.ts';

/** References in it say `~<index>` of the store in place of their address. */
export interface CarriedMemory extends Omit<RunMemory, 'release'> {
  /** Addresses of stores, without the end. */
  stores: string[];
  /** In place of `progress.finishedStages`. */
  stages: [stage: string, seconds: number, cached?: true][];
}

/** Characters of what was told last. */
const longestTold = 300;
const firstStages = 2;
const lastStages = 10;

/** Arguments of the next execution, after its input. */
export function carriedOver({ release, ...memory }: RunMemory): [CarriedMemory, ReleaseState?] {
  const stores: string[] = [];
  const { finishedStages } = memory.progress;
  const kept = finishedStages.filter(
    (_, index) => index < firstStages || index >= Math.max(firstStages, finishedStages.length - lastStages),
  );
  const cut: Omit<RunMemory, 'release'> = {
    ...memory,
    recent: memory.recent.slice(-4).map(({ iteration, figures }) => ({ iteration, figures: rounded(figures) })),
    told: memory.told.slice(-1).map((told) => told.slice(0, longestTold)),
    wallSeconds: rounded(memory.wallSeconds),
    progress: { ...memory.progress, notes: [], finishedStages: [] },
  };
  const stages = kept.map(({ stage, seconds, cached }): CarriedMemory['stages'][number] => {
    const rough = roundedNumber(seconds);
    return cached ? [stage, rough, true] : [stage, rough];
  });
  const carried = { ...withReferences(cut, (ref) => ({ ...ref, uri: shortened(ref, stores) })), stores, stages };
  return release ? [carried, release] : [carried];
}

/** Also from what older builds have handed over: whole references, the release among the rest. */
export function restored(carried: CarriedMemory | RunMemory, release?: ReleaseState): RunMemory {
  if (!('stores' in carried)) return carried;
  const { stores, stages, ...memory } = carried;
  const finishedStages = stages.map(([stage, seconds, cached = false]) => ({ stage, seconds, cached }));
  return {
    ...withReferences(memory, (ref) => ({ ...ref, uri: lengthened(ref, stores) })),
    progress: { ...memory.progress, finishedStages },
    ...(release ? { release } : {}),
  };
}

/** It stays a text: to an activity a reference without one is no reference. */
function shortened({ uri, sha256 }: ArtifactRef, stores: string[]): string {
  if (!uri.endsWith(`/${sha256}`)) return uri;
  const store = uri.slice(0, -sha256.length);
  if (!stores.includes(store)) stores.push(store);
  return `~${stores.indexOf(store)}`;
}

function lengthened({ uri, sha256 }: ArtifactRef, stores: readonly string[]): string {
  const store = uri.startsWith('~') ? stores[Number(uri.slice(1))] : undefined;
  return store === undefined ? uri : `${store}${sha256}`;
}

/** A copy of plain data, with other references. */
function withReferences<T>(value: T, change: (ref: ArtifactRef) => ArtifactRef): T {
  const copy = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(copy);
    if (typeof one !== 'object' || one === null) return one;
    const entries = Object.entries(one).map(([name, inner]) => [name, copy(inner)] as const);
    return isReference(one) ? change(one) : Object.fromEntries(entries);
  };
  return copy(value) as T;
}

function isReference(value: object): value is ArtifactRef {
  const { uri, sha256 } = value as Partial<ArtifactRef>;
  return typeof uri === 'string' && typeof sha256 === 'string';
}
