/** The stages that workflows call, with their queues, time limits and retries, and the fan-out over shards. */
import { proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control.ts';
import type { GpuActivities } from '../activities/gpu.ts';
import type { JudgeActivities } from '../activities/judge.ts';
import { taskQueues, type RunProgress, type ShardReport } from '../activities/types.ts';

/** Bounded: a stage that keeps failing becomes the operator's (design.md, failure policy). */
const retry: ActivityOptions['retry'] = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
  maximumAttempts: 12,
};

/** They heartbeat by the clock: silence means that the worker is gone. */
export const control = proxyActivities<ControlActivities>({
  taskQueue: taskQueues.control,
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '45 seconds',
  retry,
});

/** Preparing a model may download gigabytes: it heartbeats with every block received. */
export const preparation = proxyActivities<Pick<ControlActivities, 'prepareModel' | 'prepareGuardModel'>>({
  taskQueue: taskQueues.control,
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '2 minutes',
  retry,
});

/** The engine heartbeats on progress only: silence means a dead or stuck engine, and the shard goes to another worker. */
export const gpu = proxyActivities<GpuActivities>({
  taskQueue: taskQueues.gpu,
  startToCloseTimeout: '2 hours',
  heartbeatTimeout: '45 seconds',
  retry,
});

/** Waits for the end of an execution, then reads its histories: nobody waits for it. */
export const archive = proxyActivities<Pick<ControlActivities, 'archiveHistories'>>({
  taskQueue: taskQueues.control,
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '2 minutes',
  retry: { ...retry, maximumInterval: '10 minutes', maximumAttempts: 100 },
});

export const judge = proxyActivities<JudgeActivities>({
  taskQueue: taskQueues.judge,
  startToCloseTimeout: '30 minutes',
  heartbeatTimeout: '2 minutes',
  retry,
});

/** Temporal advises at most 500 pending activities of one workflow. */
const mostPending = 400;

/** What the shards of a stage came to; shards found in the store count neither tokens nor seconds. */
export interface ShardTotals {
  tokens: number;
  seconds: number;
  cached: number;
  /** Of the process that needed most; 0 where none has told. */
  peakMemoryBytes: number;
}

/**
 * Runs `call(0 .. count-1)`, at most 400 at a time, and counts finished shards and tokens into `progress`. Fails with the first failure, after the
 * shards under way have ended.
 */
export async function runShards(
  progress: RunProgress,
  count: number,
  call: (shard: number) => Promise<ShardReport>,
): Promise<ShardTotals> {
  const total: ShardTotals = { tokens: 0, seconds: 0, cached: 0, peakMemoryBytes: 0 };
  // The speed of the stage before says nothing about this one.
  delete progress.tokensPerSecond;
  progress.shardsDone = 0;
  progress.shardsTotal = count;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const report = await call(next++);
      progress.shardsDone += 1;
      total.peakMemoryBytes = Math.max(total.peakMemoryBytes, report.peakMemoryBytes ?? 0);
      if (report.cached) total.cached += 1;
      else {
        total.tokens += report.tokens;
        total.seconds += report.seconds;
        if (report.tokens > 0 && report.seconds > 0) progress.tokensPerSecond = report.tokens / report.seconds;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(mostPending, count) }, lane));
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason;
  return total;
}
