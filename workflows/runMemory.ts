/** What a run remembers: between its stages, across executions, and in the record that the store keeps of it. */
import { defineSearchAttributeKey } from '@temporalio/common';
import { isCancellation, log, setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import { renderCard } from './card.ts';
import { control } from './stages.ts';
import {
  stateAttribute,
  type ArtifactRef,
  type Figures,
  type PolicyState,
  type ReleaseState,
  type RunContext,
  type RunPlan,
  type RunProgress,
  type RunState,
  type ServerTraits,
  type ToldRecord,
} from '../activities/types.ts';

/** A run as its workflow holds it. Run and plan are those in effect: settings may be changed while it is at work. */
export interface RunAtWork {
  run: RunContext;
  plan: RunPlan;
  memory: RunMemory;
  server: ServerTraits;
  /** The state that memo and search attribute show. */
  shown?: RunState;
  /** What keeps this execution's histories has been started. */
  archived?: boolean;
  /** Its course is being changed. */
  changing?: boolean;
}

/** Everything the run must remember between executions; bounded, whatever the number of iterations. */
export interface RunMemory {
  /** Rises at each roll-back. */
  epoch: number;
  /** Finished ones. */
  iteration: number;
  /** Without an adapter: the base model, before warm start or fresh adapter. */
  policy?: PolicyState;
  /** Adapter that the iterations started from. */
  originAdapter?: ArtifactRef;
  /** With the figures that the card shows: the record in the store has all. */
  evaluations: Record<string, { artifact: ArtifactRef; figures: Figures }>;
  /** Chains of the untouched model's evaluation: what utility is measured on. */
  baseAnswers?: ArtifactRef;
  exported?: ArtifactRef;
  report?: ArtifactRef;
  /** Of the policy that was exported last. */
  release?: ReleaseState;
  wallSeconds: Figures;
  peakMemoryBytes: Figures;
  progress: RunProgress;
  /** Figures of the newest iterations, for card and guard. */
  recent: { iteration: number; figures: Figures }[];
  /** Changes of the run's course so far, and the newest of them in words. */
  courseChanges: number;
  told: string[];
  /** Roll-backs by the guard. */
  guarded: number;
}

/** The engine's peak over all its shards and processes. */
export function noteEnginePeak(memory: RunMemory, bytes: number): void {
  if (bytes > (memory.peakMemoryBytes['engine'] ?? 0)) memory.peakMemoryBytes['engine'] = bytes;
}

/** Wall seconds are kept by kind of stage: all iterations share one number. */
export function stageKey(name: string): string {
  return name.startsWith('iteration ') ? 'iterations' : name;
}

export function startMemory(run: RunContext, plan: RunPlan): RunMemory {
  return {
    epoch: 0,
    iteration: 0,
    evaluations: {},
    wallSeconds: {},
    peakMemoryBytes: {},
    recent: [],
    courseChanges: 0,
    told: [],
    guarded: 0,
    progress: {
      runId: run.runId,
      state: 'running',
      stage: 'start',
      iteration: 0,
      iterations: plan.iterations,
      shardsDone: 0,
      shardsTotal: 0,
      notes: [],
      finishedStages: [],
    },
  };
}

/** What KL is measured to; undefined = no KL term. */
export function referenceOf({ plan, memory }: RunAtWork): PolicyState | undefined {
  const { policy, originAdapter } = memory;
  if (plan.klReference === 'none' || !policy) return undefined;
  return plan.klReference === 'base' || !originAdapter
    ? { model: policy.model }
    : { model: policy.model, adapter: originAdapter };
}

/** The record as payloads carry it: without the release, which goes beside it. */
export function recordOf({ plan, memory }: RunAtWork): ToldRecord {
  const { progress, policy, originAdapter, baseAnswers, exported, report, courseChanges } = memory;
  return {
    state: progress.state,
    stage: progress.stage,
    epoch: memory.epoch,
    iteration: memory.iteration,
    iterations: plan.iterations,
    ...(progress.cause ? { cause: progress.cause } : {}),
    ...(policy ? { policy } : {}),
    ...(originAdapter ? { originAdapter } : {}),
    evaluations: memory.evaluations,
    ...(baseAnswers ? { baseAnswers } : {}),
    ...(exported ? { exported } : {}),
    ...(report ? { report } : {}),
    wallSeconds: memory.wallSeconds,
    peakMemoryBytes: memory.peakMemoryBytes,
    ...(courseChanges > 0 ? { courseChanges } : {}),
  };
}

export async function saveRecord(work: RunAtWork): Promise<void> {
  const { progress, release } = work.memory;
  const record = recordOf(work);
  const peaks = await control.saveRun.executeWithOptions(
    { summary: `record: ${progress.state}, ${progress.stage}` },
    release ? [work.run, record, release] : [work.run, record],
  );
  work.memory.peakMemoryBytes = { ...work.memory.peakMemoryBytes, ...peaks };
}

/**
 * Saves the record where that is no stage's outcome. A store that can't be written is told and waited out by the stages themselves; for the record's sake
 * alone the run does not end.
 */
export async function noteRecord(work: RunAtWork): Promise<void> {
  try {
    await saveRecord(work);
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.warn('The record of the run could not be saved', { cause: String(error) });
  }
}

const stateKey = defineSearchAttributeKey(stateAttribute, 'KEYWORD');

/** The card is free; memo and search attribute cost an event each, so they tell what a list of runs is searched for. */
export function showCard(work: RunAtWork): void {
  const { state, stage } = work.memory.progress;
  setCurrentDetails(renderCard(work));
  if (work.shown === state) return;
  work.shown = state;
  upsertMemo({ stage, state });
  if (work.server.searchable) upsertSearchAttributes([{ key: stateKey, value: state }]);
}
