/** What a run remembers: between its stages, across executions, and in the record that the store keeps of it. */
import { isCancellation, log, setCurrentDetails, upsertMemo } from '@temporalio/workflow';
import { renderCard } from './card.ts';
import { control } from './stages.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, RunProgress, RunRecord } from '../activities/types.ts';

export interface RunPlan {
  warmStart: boolean;
  evaluateAfterWarmStart: boolean;
  iterations: number;
  klReference: 'warmStart' | 'base' | 'none';
  probe: boolean;
}

/** Everything the run must remember between executions; bounded, whatever the number of iterations. */
export interface RunMemory {
  epoch: number;
  iteration: number;
  policy?: PolicyState;
  reference?: PolicyState;
  evaluations: Record<string, { artifact: ArtifactRef; figures: Figures }>;
  /** Chains of the untouched model's evaluation: what utility is measured on. */
  baseAnswers?: ArtifactRef;
  exported?: ArtifactRef;
  report?: ArtifactRef;
  wallSeconds: Figures;
  peakMemoryBytes: Figures;
  progress: RunProgress;
  /** Figures of the newest iterations, for the card. */
  recent: { iteration: number; figures: Figures }[];
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

/** The memory as the next execution gets it: what display alone needs is cut down, so that the payload stays small. */
export function carriedOver(memory: RunMemory): RunMemory {
  const stages = memory.progress.finishedStages;
  const kept = stages.filter((_, index) => index < 4 || index >= stages.length - 4);
  return {
    ...memory,
    recent: memory.recent.slice(-4).map(({ iteration, figures }) => ({ iteration, figures: rounded(figures) })),
    wallSeconds: rounded(memory.wallSeconds),
    progress: {
      ...memory.progress,
      notes: [],
      finishedStages: kept.map(({ stage, seconds, cached }) => ({ stage, cached, seconds: roundedNumber(seconds) })),
    },
  };
}

function rounded(figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, roundedNumber(value)]));
}

const roundedNumber = (value: number): number => Math.round(value * 1e4) / 1e4;

export function cardFigures(figures: Figures): Figures {
  const shown = ['reward', 'rewards/format/mean', 'kl', 'grad_norm', 'completions/mean_length'];
  return Object.fromEntries(shown.filter((name) => figures[name] !== undefined).map((name) => [name, figures[name]!]));
}

export function recordOf(run: RunContext, plan: RunPlan, memory: RunMemory): RunRecord {
  return {
    runId: run.runId,
    configuration: run.configuration,
    library: run.library,
    state: memory.progress.state,
    stage: memory.progress.stage,
    iteration: memory.iteration,
    iterations: plan.iterations,
    ...(memory.progress.cause ? { cause: memory.progress.cause } : {}),
    ...(memory.policy ? { policy: memory.policy } : {}),
    evaluations: memory.evaluations,
    ...(memory.exported ? { exported: memory.exported } : {}),
    ...(memory.report ? { report: memory.report } : {}),
    wallSeconds: memory.wallSeconds,
    peakMemoryBytes: memory.peakMemoryBytes,
  };
}

export async function saveRecord(run: RunContext, plan: RunPlan, memory: RunMemory): Promise<void> {
  const peaks = await control.saveRun.executeWithOptions(
    { summary: `record: ${memory.progress.state}, ${memory.progress.stage}` },
    [run, recordOf(run, plan, memory)],
  );
  memory.peakMemoryBytes = { ...memory.peakMemoryBytes, ...peaks };
}

/**
 * Saves the record where that is no stage's outcome. A store that can't be written is told and waited out by the stages themselves; for the record's sake
 * alone the run does not end.
 */
export async function noteRecord(run: RunContext, plan: RunPlan, memory: RunMemory): Promise<void> {
  try {
    await saveRecord(run, plan, memory);
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.warn('The record of the run could not be saved', { cause: String(error) });
  }
}

export function showCard(run: RunContext, plan: RunPlan, memory: RunMemory): void {
  setCurrentDetails(renderCard(run, plan, memory));
  upsertMemo({ stage: memory.progress.stage, state: memory.progress.state });
}
