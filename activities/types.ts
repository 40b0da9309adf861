/**
 * What workflows and activities say to each other. Everything here is small plain data: references to artifacts, indices and a few figures; a
 * payload stays under 4 KB whatever the model's size or the number of shards.
 */
import type { ArtifactRef } from '../infra/artifacts/artifactStore.ts';

export type { ArtifactRef };

/** Task queues: light bookkeeping, one slot a device, and judges with their own limits. */
export const taskQueues = { control: 'cada-control', gpu: 'cada-gpu', judge: 'cada-judge' } as const;
export type WorkerKind = keyof typeof taskQueues;

/** What every activity of a run needs to find the run's inputs. */
export interface RunContext {
  runId: string;
  /** The validated configuration, canonical JSON. */
  configuration: ArtifactRef;
  /** The files of the library as one JSON object, path -> text. */
  library: ArtifactRef;
}

/** The policy at one moment: which base model, which adapter on top of it. */
export interface PolicyState {
  model: ArtifactRef;
  /** `adapter_model.safetensors`; absent = the untouched base model. */
  adapter?: ArtifactRef;
  /** AdamW moments that go with the adapter. */
  optimizer?: ArtifactRef;
}

/** Why chains are generated; names the requests, the prompts and the seeds. */
export type GenerationPurpose =
  | { kind: 'evaluation'; name: string; set: 'full' | 'probe' }
  | { kind: 'warmStart' }
  | { kind: 'iteration'; iteration: number; epoch: number };

/** A plan artifact and the number of shards it is cut into. */
export interface ShardedPlan {
  plan: ArtifactRef;
  shards: number;
  /** What the plan holds, for summaries and progress. */
  items: number;
}

/** An optimisation plan: one or more optimizer steps, each cut into gradient shards. */
export interface UpdatePlan {
  plan: ArtifactRef;
  /** Gradient shards of each optimizer step. */
  shardsPerStep: number[];
  sequences: number;
  figures: Figures;
}

/** What a shard's activity reports: how much was done and how fast, never the outcome itself (that is in the store). */
export interface ShardReport {
  cached: boolean;
  tokens: number;
  seconds: number;
  peakMemoryBytes?: number;
}

/** A few named numbers. */
export type Figures = Record<string, number>;

export interface StageOutcome {
  artifact: ArtifactRef;
  figures: Figures;
}

export interface UpdateOutcome {
  policy: PolicyState;
  figures: Figures;
  cached: boolean;
  seconds: number;
}

/** What a trained policy came from: artifacts, by reference. */
export interface IterationLineage {
  epoch: number;
  iteration: number;
  parent: string | null;
  policy: PolicyState;
  plan: ArtifactRef | null;
  chains: ArtifactRef | null;
  rewards: ArtifactRef | null;
  updatePlan: ArtifactRef | null;
  evaluation: ArtifactRef | null;
}

/** What was measured on the way. */
export interface IterationMeasures {
  figures: Figures;
  seconds: Figures;
  /** The engine's largest resident memory; 0 where no shard has told. */
  peakMemoryBytes: number;
}

/** One finished iteration, as the run's lineage lists it: written by the child workflow, in two parts so that each payload stays small. */
export type IterationRecord = IterationLineage & IterationMeasures;

/** What the run itself needs of a finished iteration. */
export interface TrainedPolicy extends Pick<IterationMeasures, 'figures' | 'peakMemoryBytes'> {
  policy: PolicyState;
}

/** A stage that has ended, for progress, status and the report. */
export interface FinishedStage {
  stage: string;
  seconds: number;
  cached: boolean;
  figures?: Figures;
}

export type RunState = 'running' | 'paused' | 'waiting' | 'done' | 'failed' | 'stopped';

/** Snapshot of a run, answered by the `progress` query and kept in the run's record. */
export interface RunProgress {
  runId: string;
  state: RunState;
  stage: string;
  iteration: number;
  iterations: number;
  shardsDone: number;
  shardsTotal: number;
  tokensPerSecond?: number;
  meanReward?: number;
  /** Why the run waits or failed. */
  cause?: string;
  notes: string[];
  finishedStages: FinishedStage[];
}

/** What is known of a run, kept in the store at `runs/<id>/run.json`: `cada status` and `cada report` read it when no server is up. */
export interface RunRecord {
  runId: string;
  configuration: ArtifactRef;
  library: ArtifactRef;
  state: RunState;
  stage: string;
  iteration: number;
  iterations: number;
  cause?: string;
  policy?: PolicyState;
  /** 'before', 'warm start', 'after' -> figures and the artifact they come from. */
  evaluations: Record<string, { artifact: ArtifactRef; figures: Figures }>;
  /** Manifest of the exported folders. */
  exported?: ArtifactRef;
  report?: ArtifactRef;
  wallSeconds: Figures;
  peakMemoryBytes: Figures;
}
