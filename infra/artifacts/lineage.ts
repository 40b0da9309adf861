/** What refers to what in a store: from the documents of runs through plans, lists and manifests of steps down to every object. */
import pLimit from 'p-limit';
import type { ArtifactRef, ArtifactStore, StoredObject } from './artifactStore.ts';
import { ArtifactCorruptError, ArtifactMissingError, DocumentCorruptError } from './errors.ts';
import { listOtherWork, type OtherWorkDocument } from './otherWork.ts';
import { digestsIn, payloadsIn, referencesIn } from './references.ts';
import { stepKey } from './steps.ts';
import type { StepManifest } from './steps.ts';

const READS_AT_ONCE = 8;
/** Objects that refer to others are lists: larger ones are data. */
const LARGEST_LIST = 32 * 1024 * 1024;
/** Kinds that never refer to others: not worth reading. A kind that is not known here is opened. */
const LEAVES = new Set(
  'adapter answer-losses chains data gradient model-file optimizer report rewards sequence-metrics'.split(' '),
);
/** How many referrers of an object are remembered, for messages. */
const REFERRERS = 3;

/** Everything there is in a store. */
export interface StoreIndex {
  objects: Map<string, StoredObject>;
  steps: Map<string, StepManifest>;
  /** Keys of manifests that can't be read or are not what their name says: they count as absent. */
  unreadableSteps: string[];
}

export interface TracedArtifact extends Omit<ArtifactRef, 'uri'> {
  /** Some of what refers to it, in words. */
  referredBy: string[];
}

export interface UnreadableReferrer {
  /** Document key, or digest of an object. */
  name: string;
  kind: string;
  reason: string;
}

export interface TraceOptions {
  /** Follow a step from its outputs to its inputs. */
  inputs: boolean;
  /** Take a step all of whose inputs were reached, though nothing refers to its outputs (yet). */
  outputs: boolean;
}

/** @throws StoreUnavailableError and the like; damaged manifests are collected */
export async function indexStore(store: ArtifactStore): Promise<StoreIndex> {
  const index: StoreIndex = { objects: new Map(), steps: new Map(), unreadableSteps: [] };
  for await (const object of store.listObjects()) index.objects.set(object.sha256, object);
  await eachAtOnce(store.listDocuments('steps/'), async (key) => {
    const manifest = await store.getDocument<StepManifest>(key).catch(whereCorrupt);
    if (manifest === undefined) return; // removed since it was listed
    const value = manifest === 'corrupt' ? undefined : manifest.value;
    if (value && isManifestOf(key, value)) index.steps.set(value.key, value);
    else index.unreadableSteps.push(key);
  });
  index.unreadableSteps.sort();
  return index;
}

/**
 * Follows references from where it is told to begin. An object or step that is reached is recorded once; what should be readable and
 * is not is collected in `unreadable`, since what it refers to is then not known.
 */
export class Trace {
  readonly artifacts = new Map<string, TracedArtifact>();
  readonly steps = new Set<string>();
  readonly documents = new Map<string, string>();
  readonly unreadable: UnreadableReferrer[] = [];
  readonly #store: ArtifactStore;
  readonly #index: StoreIndex;
  readonly #options: TraceOptions;
  readonly #makers = new Map<string, StepManifest[]>();
  readonly #users = new Map<string, StepManifest[]>();
  /** Of each step, how many of its inputs have not been reached. */
  readonly #waitsFor = new Map<string, number>();
  // Queues, not recursion: a lineage is as deep as the run has steps.
  #artifactQueue: TracedArtifact[] = [];
  #stepQueue: StepManifest[] = [];
  /** What is reached now for the first time, and is missing, hinders nobody. */
  #mayMiss = false;

  constructor(store: ArtifactStore, index: StoreIndex, options: TraceOptions) {
    this.#store = store;
    this.#index = index;
    this.#options = options;
    for (const step of index.steps.values()) {
      for (const { sha256 } of Object.values(step.outputs)) listAt(this.#makers, sha256).push(step);
      const inputs = this.inputsOf(step);
      for (const digest of inputs) listAt(this.#users, digest).push(step);
      this.#waitsFor.set(step.key, inputs.length);
    }
  }

  /** The record, the iterations and the histories of a run, and all they lead to. */
  async addRun(runId: string): Promise<void> {
    const kindOf = (key: string): string => {
      if (key.startsWith(`runs/${runId}/history/`)) return 'history';
      if (key.endsWith('/run.json')) return 'record';
      if (key.startsWith(`runs/${runId}/marks/`)) return 'mark';
      if (key.startsWith(`runs/${runId}/audit/`)) return 'audit';
      return key.startsWith(`runs/${runId}/course/`) ? 'course' : 'iteration';
    };
    await eachAtOnce(this.#store.listDocuments(`runs/${runId}/`), (key) => this.#addDocument(key, kindOf(key)));
    await this.settle();
  }

  /**
   * What studies, evaluations and draftings were made from and have come to, and what their histories name; but for those `without`. Older versions did
   * not keep what some documents alone name, and neither does a lease that ends before the work does: of these, what is missing is gone.
   */
  async addOtherWork(without: ReadonlySet<string>): Promise<void> {
    const documents: OtherWorkDocument[] = [];
    for await (const document of listOtherWork(this.#store)) if (!without.has(document.id)) documents.push(document);
    for (const mayMiss of [false, true]) {
      const some = documents.filter((one) => one.mayMiss === mayMiss);
      this.#mayMiss = mayMiss;
      await eachAtOnce(some, ({ key, kind }) => this.#addDocument(key, kind));
      await this.settle();
    }
    this.#mayMiss = false;
  }

  async #addDocument(key: string, kind: string): Promise<void> {
    const document = await this.#store.getDocument<unknown>(key).catch(whereCorrupt);
    if (document === undefined) return;
    this.documents.set(key, kind);
    if (document === 'corrupt') this.unreadable.push({ name: key, kind, reason: 'it is not valid JSON' });
    else this.#addValue(kind === 'history' ? payloadsIn(document.value) : document.value, key);
  }

  addObject({ sha256, bytes }: StoredObject, kind: string, from: string): void {
    this.#reach({ sha256, bytes, kind }, from);
  }

  addStep(step: StepManifest): void {
    if (this.steps.has(step.key)) return;
    this.steps.add(step.key);
    this.#stepQueue.push(step);
  }

  #reachFrom(step: StepManifest): void {
    const from = `step ${step.stage} (steps/${step.key}.json)`;
    for (const output of Object.values(step.outputs)) this.#reach(output, from);
    if (!this.#options.inputs) return;
    for (const digest of this.inputsOf(step)) this.addObject(this.#index.objects.get(digest)!, 'input', from);
  }

  /** Reads what was reached and may refer to more, until nothing new comes. */
  async settle(): Promise<void> {
    for (;;) {
      for (let step = this.#stepQueue.pop(); step; step = this.#stepQueue.pop()) this.#reachFrom(step);
      if (this.#artifactQueue.length === 0) return;
      const batch = this.#artifactQueue;
      this.#artifactQueue = [];
      await eachAtOnce(batch, (artifact) => this.#open(artifact));
    }
  }

  /** Digests among a step's inputs that name objects of the store; others name lists, seeds or what is gone. */
  inputsOf(step: StepManifest): string[] {
    return digestsIn(step.inputs).filter((digest) => this.#index.objects.has(digest));
  }

  /** The step that makes an object, where there is one. */
  makerOf(sha256: string): StepManifest | undefined {
    return this.#makers.get(sha256)?.[0];
  }

  #addValue(value: unknown, from: string): void {
    for (const ref of referencesIn(value)) this.#reach(ref, from);
    for (const digest of digestsIn(value)) {
      const object = this.#index.objects.get(digest);
      if (object) this.addObject(object, 'named', from);
    }
  }

  #reach({ sha256, bytes, kind }: Omit<ArtifactRef, 'uri'>, from: string): void {
    const known = this.artifacts.get(sha256);
    if (known) {
      if (known.referredBy.length < REFERRERS && !known.referredBy.includes(from)) known.referredBy.push(from);
      // A reference says more than a bare digest does.
      if (GUESSED.has(known.kind) && !GUESSED.has(kind)) Object.assign(known, { kind, bytes });
      return;
    }
    const maker = this.makerOf(sha256);
    const output = GUESSED.has(kind) && maker && Object.values(maker.outputs).find((each) => each.sha256 === sha256);
    const artifact = { sha256, bytes, kind: output ? output.kind : kind, referredBy: [from] };
    this.artifacts.set(sha256, artifact);
    this.#artifactQueue.push(artifact);
    for (const step of this.#makers.get(sha256) ?? []) this.addStep(step);
    if (!this.#options.outputs) return;
    for (const step of this.#users.get(sha256) ?? []) {
      const waitsFor = this.#waitsFor.get(step.key)! - 1;
      this.#waitsFor.set(step.key, waitsFor);
      if (waitsFor === 0) this.addStep(step);
    }
  }

  async #open(artifact: TracedArtifact): Promise<void> {
    const { sha256, kind } = artifact;
    const stored = this.#index.objects.get(sha256);
    if (LEAVES.has(kind) || (stored?.bytes ?? artifact.bytes) > LARGEST_LIST) return;
    try {
      const text = new TextDecoder().decode(await this.#store.getBytes({ ...artifact, uri: '' }));
      if (/^\s*[[{]/.test(text)) this.#addValue(parsed(text), `${kind} ${sha256.slice(0, 12)}`);
    } catch (error) {
      if (!(error instanceof ArtifactMissingError || error instanceof ArtifactCorruptError)) throw error;
      if (error instanceof ArtifactMissingError && this.#mayMiss) return;
      const reason = error instanceof ArtifactMissingError ? 'it is missing' : 'its bytes have changed';
      this.unreadable.push({ name: sha256, kind, reason });
    }
  }
}

/** Kinds of what was named by its digest only. */
const GUESSED = new Set(['input', 'named', 'recent']);

/** Calls `act` for every item, a few at once. */
export async function eachAtOnce<T>(
  items: AsyncIterable<T> | Iterable<T>,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const limit = pLimit(READS_AT_ONCE);
  const all: T[] = [];
  for await (const item of items) all.push(item);
  await Promise.all(all.map((item) => limit(() => act(item))));
}

function isManifestOf(key: string, value: StepManifest): boolean {
  try {
    return (
      key === `steps/${value.key}.json` &&
      stepKey(value) === value.key &&
      Object.values(value.outputs).every(isReference)
    );
  } catch {
    return false;
  }
}

const isReference = (value: unknown): boolean => referencesIn(value).length === 1;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // JSON Lines, or a text that begins like JSON
  }
}

function whereCorrupt(error: unknown): 'corrupt' {
  if (error instanceof DocumentCorruptError) return 'corrupt';
  throw error;
}

function listAt<T>(map: Map<string, T[]>, key: string): T[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
