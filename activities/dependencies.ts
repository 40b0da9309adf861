/** What activities need from their worker: handed in, so that tests can hand in their own. */
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import type { SuffixEngine } from '../engine/attack/suffixRequest.ts';
import type { EngineSettings, PolicyEngine } from '../engine/policy.ts';
import type { UseLedger } from './useLedger.ts';

export interface ActivityDependencies {
  store: ArtifactStore;
  /** Folder for models fetched from the store and for the engine's compiled files, shared by the workers of a machine; safe to delete. */
  localPath: string;
  /** Folder of this process alone: spool files and adapters at work. */
  scratchPath: string;
  /** Folder for downloads (models), shared by runs. */
  downloadPath: string;
  /** Counts what the activities take; absent = nobody counts. */
  use?: UseLedger;
  log: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

/** A policy backend whose process can be killed. One that has the weights at hand may search for suffixes too. */
export type KillableEngine = PolicyEngine & Partial<SuffixEngine> & { kill(): void };

export interface GpuDependencies extends ActivityDependencies {
  /** The engine for these settings; one at a time is alive. */
  engineFor(settings: EngineSettings): KillableEngine;
}
