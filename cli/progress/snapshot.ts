/** A run at one moment, as the live display shows it. The workflows' progress query answers with this shape. */
export interface ProgressSnapshot {
  runId: string;
  state: 'running' | 'paused' | 'waiting' | 'done' | 'failed' | 'stopped' | 'cancelled' | 'awaiting approval';
  /** 'prepare', 'evaluate before', 'warm start', 'iteration 2', ... */
  stage: string;
  iteration: number;
  iterations: number;
  /** What is counted. @default 'shards' */
  unit?: 'MB';
  shardsDone: number;
  /** 0 where the stage is not cut into shards. */
  shardsTotal: number;
  tokensPerSecond?: number;
  meanReward?: number;
  /** For the whole run; absent where nobody knows. */
  secondsLeft?: number;
  /** Why the run waits or failed. */
  cause?: string;
  /** What the reader should know or do now, such as a queue without workers. */
  notes: string[];
  finishedStages: FinishedStage[];
}

export interface FinishedStage {
  stage: string;
  seconds: number;
  cached: boolean;
  figures?: Record<string, number>;
}

/** The stages that ended after `last`. A long run's list is shortened in its middle, so its length says nothing. */
export function finishedSince(last: FinishedStage | undefined, stages: readonly FinishedStage[]): FinishedStage[] {
  if (!last) return [...stages];
  const known = stages.findLastIndex(({ stage, seconds }) => stage === last.stage && seconds === last.seconds);
  return stages.slice(known + 1);
}
