import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArtifactRef, ArtifactStore } from './artifactStore.ts';
import { canonicalJson } from './canonicalJson.ts';
import { sha256 } from './digest.ts';
import { ArtifactCorruptError, DocumentConflictError, DocumentCorruptError, StoreUnavailableError } from './errors.ts';
import { checkDigest } from './keys.ts';

/** A stage's name and version and everything its outputs depend on: digests, parameters, seeds, the plan. */
export interface StepDefinition {
  stage: string;
  /** Raised whenever the stage's code changes what comes out. */
  version: number;
  /** Plain JSON. An {@link ArtifactRef} in it counts by its digest alone. */
  inputs: unknown;
}

/** What a finished step left: written last, at `steps/<key>.json`, so that a manifest means finished. */
export interface StepManifest {
  key: string;
  stage: string;
  version: number;
  inputs: unknown;
  outputs: Record<string, ArtifactRef>;
  /** Small numbers about the step; may hold timings, which the outputs must not. */
  figures: Record<string, unknown>;
  producedBy: StepProducer;
}

export interface StepProducer {
  host: string;
  startedAt: string;
  seconds: number;
  codeVersion: string;
  [more: string]: unknown;
}

export type StepOutput = { file: string; kind: string } | { bytes: Uint8Array | string; kind: string };

export interface StepResult {
  outputs: Record<string, StepOutput>;
  figures?: Record<string, unknown>;
}

/** A stored step that could not be used and is computed again. */
export interface StepRepair {
  key: string;
  stage: string;
  reason: string;
}

export interface RunStepOptions {
  /** Folder for spool folders. @default the system's temporary folder */
  spoolRoot?: string;
  codeVersion?: string;
  /** @default the machine's name */
  host?: string;
  /** More about the producer for the manifest, e.g. hardware and thread count. */
  producer?: Record<string, unknown>;
  /** Called when a stored step is found damaged. */
  onRepair?: (repair: StepRepair) => void;
  /**
   * How long a store that does not answer is tried again, beyond the tries of each request, when there is something to publish: what was computed would be
   * lost. @default 25_000, so that the heartbeat timeout of the stages is not reached
   */
  publishPatienceMs?: number;
}

/** Two computations of one step that came out differently: the determinism promise is broken. */
export class StepDivergedError extends Error {
  override readonly name = 'StepDivergedError';
}

/**
 * The name of a step: SHA-256 of the canonical JSON of stage, version and inputs.
 *
 * @throws TypeError naming the path of an input that is undefined, NaN, infinite, a function or not plain JSON
 */
export function stepKey({ stage, version, inputs }: StepDefinition): string {
  return sha256(canonicalJson({ stage, version, inputs: byDigest(inputs) }, { strict: true }));
}

/**
 * Runs a step unless it is already in the store. Otherwise computes it in a fresh spool folder, uploads its outputs and
 * puts the manifest last, only if absent; who loses that race takes the winner's manifest. A stored step whose manifest
 * can't be read or whose outputs are missing or of the wrong size counts as absent: it is computed again and replaced.
 *
 * Outputs must depend on the inputs alone (no clock, no host name in them).
 *
 * @param compute gets the spool folder, removed afterwards; returns files in it, or bytes
 * @throws StepDivergedError where a computation gives other digests than the stored one, naming both machines
 */
export async function runStep(
  store: ArtifactStore,
  definition: StepDefinition,
  compute: (spool: string) => Promise<StepResult>,
  options: RunStepOptions = {},
): Promise<StepManifest & { cached: boolean }> {
  const key = stepKey(definition);
  const stored = await lookUp(store, key);
  if (stored.state === 'sound') return { ...stored.manifest, cached: true };
  if (stored.state === 'damaged') options.onRepair?.({ key, stage: definition.stage, reason: stored.reason });

  const startedAt = new Date();
  const spool = await makeSpool(options.spoolRoot);
  try {
    const { outputs, figures } = await compute(spool).catch((error: unknown) => discardCorrupt(store, error));
    const producedBy: StepProducer = {
      ...options.producer,
      host: options.host ?? hostname(),
      startedAt: startedAt.toISOString(),
      seconds: (Date.now() - startedAt.getTime()) / 1000,
      codeVersion: options.codeVersion ?? 'unknown',
    };
    return await patiently(options.publishPatienceMs ?? 25_000, async () => {
      const manifest: StepManifest = {
        key,
        stage: definition.stage,
        version: definition.version,
        inputs: byDigest(definition.inputs),
        outputs: await publish(store, outputs),
        figures: figures ?? {},
        producedBy,
      };
      return { ...(await putManifest(store, manifest, stored)), cached: false };
    });
  } finally {
    await rm(spool, { recursive: true, force: true });
  }
}

/** Tries again, with growing pauses, as long as the store does not answer. Every write in it may be repeated. */
async function patiently<T>(patienceMs: number, write: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (let pauseMs = 500; ; pauseMs = Math.min(2 * pauseMs, 4_000)) {
    try {
      return await write();
    } catch (error) {
      const goesBy = error instanceof StoreUnavailableError && error.transient;
      if (!goesBy || Date.now() + pauseMs > deadline) throw error;
      await sleep(pauseMs);
    }
  }
}

/** The manifest of a finished step with sound outputs (by size), or undefined. */
export async function readStep(store: ArtifactStore, key: string): Promise<StepManifest | undefined> {
  const stored = await lookUp(store, key);
  return stored.state === 'sound' ? stored.manifest : undefined;
}

/** Forgets a step, so that it is computed again. Its objects stay. */
export async function forgetStep(store: ArtifactStore, key: string): Promise<void> {
  await store.deleteDocument(documentOf(key));
}

type Stored =
  | { state: 'absent' }
  | { state: 'sound'; manifest: StepManifest }
  | { state: 'damaged'; reason: string; etag: string; manifest?: StepManifest };

async function lookUp(store: ArtifactStore, key: string): Promise<Stored> {
  let found: { value: StepManifest; etag: string } | undefined;
  try {
    found = await store.getDocument<StepManifest>(documentOf(key));
  } catch (error) {
    if (!(error instanceof DocumentCorruptError)) throw error;
    return { state: 'damaged', reason: error.message, etag: error.etag };
  }
  if (!found) return { state: 'absent' };
  const { value, etag } = found;
  if (value?.key !== key || typeof value.outputs !== 'object') {
    return { state: 'damaged', reason: `${store.uri}/${documentOf(key)} is not the manifest of this step`, etag };
  }
  // A store that was moved keeps its manifests: the place is where we are now.
  const outputs = Object.fromEntries(
    Object.entries(value.outputs).map(([name, ref]) => [name, { ...ref, uri: `${store.uri}/objects/${ref.sha256}` }]),
  );
  const manifest = { ...value, outputs };
  for (const [name, ref] of Object.entries(outputs)) {
    if (!(await store.has(ref))) {
      return {
        state: 'damaged',
        reason: `output "${name}" (${ref.uri}) is missing or has a wrong size`,
        etag,
        manifest,
      };
    }
  }
  return { state: 'sound', manifest };
}

/** Writes the manifest last: if absent, or in place of exactly the damaged one that was found. */
async function putManifest(store: ArtifactStore, manifest: StepManifest, stored: Stored): Promise<StepManifest> {
  const document = documentOf(manifest.key);
  if (stored.state === 'damaged') {
    if (stored.manifest) assertSameOutputs(stored.manifest, manifest, store);
    try {
      await store.putDocument(document, manifest, { ifMatch: stored.etag });
      return manifest;
    } catch (error) {
      if (!(error instanceof DocumentConflictError)) throw error;
      // Somebody else repaired it, or removed it: then the rule for a new manifest holds.
    }
  }
  const { value, adopted } = await store.putDocument(document, manifest, 'ifAbsent');
  const winner = value as StepManifest;
  if (adopted) assertSameOutputs(winner, manifest, store);
  return winner;
}

function assertSameOutputs(before: StepManifest, now: StepManifest, store: ArtifactStore): void {
  const names = [...new Set([...Object.keys(before.outputs), ...Object.keys(now.outputs)])].sort();
  const differing = names.filter((name) => before.outputs[name]?.sha256 !== now.outputs[name]?.sha256);
  if (differing.length === 0) return;
  const machine = ({ producedBy: by }: StepManifest) => `${by.host} (code ${by.codeVersion}, ${by.startedAt})`;
  throw new StepDivergedError(
    `stage "${now.stage}" gave different results for the same inputs on ${machine(before)} and on ${machine(now)}: ` +
      `${differing.map((name) => `${name} ${before.outputs[name]?.sha256 ?? 'none'} / ${now.outputs[name]?.sha256 ?? 'none'}`).join(', ')}. ` +
      'Same bits need the same build, processor family and thread count: let workers of one kind do the run. ' +
      `To take the new result, delete ${store.uri}/${documentOf(now.key)}.`,
  );
}

async function publish(
  store: ArtifactStore,
  outputs: Record<string, StepOutput>,
): Promise<Record<string, ArtifactRef>> {
  const refs: Record<string, ArtifactRef> = {};
  for (const [name, output] of Object.entries(outputs)) {
    refs[name] =
      'file' in output
        ? await store.giveFile(output.file, output.kind)
        : await store.putBytes(output.bytes, output.kind);
  }
  return refs;
}

/** An input found rotten is removed, so that the step that made it counts as absent and is computed again. */
async function discardCorrupt(store: ArtifactStore, error: unknown): Promise<never> {
  if (error instanceof ArtifactCorruptError) {
    const digest = error.uri.slice(error.uri.lastIndexOf('/') + 1);
    if (error.uri.startsWith(`${store.uri}/objects/`)) await store.deleteObject(digest).catch(() => undefined);
  }
  throw error;
}

/** Replaces every artifact reference by its digest: where an object lies is no input. */
function byDigest(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(byDigest);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  if (isArtifactRef(value)) return value.sha256;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, byDigest(item)]));
}

function isArtifactRef(value: object): value is ArtifactRef {
  const ref = value as Partial<ArtifactRef>;
  return typeof ref.uri === 'string' && typeof ref.sha256 === 'string' && typeof ref.bytes === 'number';
}

async function makeSpool(root: string = tmpdir()): Promise<string> {
  await mkdir(root, { recursive: true });
  return mkdtemp(join(root, 'cada-step-'));
}

function documentOf(key: string): string {
  return `steps/${checkDigest(key)}.json`;
}
