/** The optimizer steps of an update plan: gradients in shards, then one update, step after step. */
import { gpu, runShards } from './stages.ts';
import type { Figures, PolicyState, RunContext, RunProgress, UpdatePlan } from '../activities/types.ts';

export async function optimisePolicy(
  run: RunContext,
  label: string,
  update: UpdatePlan,
  start: PolicyState,
  reference: PolicyState | undefined,
  progress: RunProgress,
): Promise<{ policy: PolicyState; figures: Figures; seconds: Figures; peakMemoryBytes: number }> {
  let policy = start;
  let figures: Figures = {};
  let peakMemoryBytes = 0;
  const seconds = { gradients: 0, update: 0 };
  const steps = update.shardsPerStep.length;
  for (let step = 0; step < steps; step++) {
    const shards = update.shardsPerStep[step]!;
    progress.stage = steps > 1 ? `${label}: optimizer step ${step + 1} of ${steps}` : `${label}: optimizer step`;
    const current = policy;
    const gradients = await runShards(progress, shards, (shard) =>
      gpu.computeGradients.executeWithOptions(
        { summary: `${label}: gradients, step ${step + 1} of ${steps}, shard ${shard + 1} of ${shards}` },
        [run, { plan: update.plan, step, shard, policy: current, ...(reference ? { reference } : {}) }],
      ),
    );
    const outcome = await gpu.updatePolicy.executeWithOptions(
      { summary: `${label}: update, step ${step + 1} of ${steps}` },
      [run, { plan: update.plan, step, policy: current, ...(reference ? { reference } : {}) }],
    );
    policy = outcome.policy;
    figures = outcome.figures;
    peakMemoryBytes = Math.max(peakMemoryBytes, gradients.peakMemoryBytes);
    seconds.gradients += gradients.seconds;
    seconds.update += outcome.seconds;
  }
  return { policy, figures, seconds, peakMemoryBytes };
}
