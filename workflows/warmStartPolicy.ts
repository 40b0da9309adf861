/**
 * Warm start (context distillation): chains generated with sampled codes and cases in the prompt, those that pass the format and the outcome filter
 * kept, codes and cases stripped, and the policy fine-tuned on raw request -> chain.
 */
import { setHandler } from '@temporalio/workflow';
import { writeChains } from './chainSources.ts';
import { generateAndReward } from './generation.ts';
import { progressQuery } from './messages.ts';
import { optimisePolicy } from './optimisation.ts';
import { startProgress } from './progress.ts';
import { control, gpu } from './stages.ts';
import { planWithVectors } from './vectors.ts';
import { endsOnItsBuild } from './versioning.ts';
import type { IterationLineage, PolicyState, RunContext, TrainedPolicy } from '../activities/types.ts';

export interface WarmStartInput {
  run: RunContext;
  policy: PolicyState;
}

endsOnItsBuild(warmStartPolicy);

export async function warmStartPolicy({ run, policy: base }: WarmStartInput): Promise<TrainedPolicy> {
  const label = 'warm start';
  const progress = startProgress(run.runId, label);
  setHandler(progressQuery, () => progress);
  const startedAt = Date.now();

  const plan = await planWithVectors(run, base.model, progress, () =>
    control.sampleCases.executeWithOptions({ summary: `${label}: sample codes and cases` }, [
      run,
      { kind: 'warmStart' },
      base.model,
    ]),
  );
  const sourced = await writeChains(run, label, plan, base, progress);
  const rewarded = await generateAndReward(run, label, sourced.plan, base, progress);
  const update = await control.planWarmStart.executeWithOptions({ summary: `${label}: filter chains` }, [
    run,
    { chains: rewarded.chains, rewards: rewarded.rewards },
  ]);
  const adapter = await gpu.createAdapter.executeWithOptions({ summary: `${label}: fresh LoRA adapter` }, [
    run,
    { model: base.model },
  ]);
  const trained = await optimisePolicy(run, label, update, { model: base.model, adapter }, undefined, progress);

  // The moments belong to the fine-tuning objective; the iterations start theirs afresh.
  const policy: PolicyState = { model: base.model, adapter: trained.policy.adapter! };
  const figures = { ...sourced.figures, ...rewarded.figures, ...update.figures, ...trained.figures };
  const seconds = { ...sourced.seconds, ...rewarded.seconds, ...trained.seconds };
  const peakMemoryBytes = Math.max(sourced.peakMemoryBytes, rewarded.peakMemoryBytes, trained.peakMemoryBytes);
  const lineage: IterationLineage = {
    epoch: 0,
    iteration: 0,
    parent: null,
    policy,
    plan: rewarded.plan,
    chains: rewarded.chains,
    rewards: rewarded.rewards,
    updatePlan: update.plan,
    evaluation: null,
  };
  await control.recordIteration.executeWithOptions({ summary: `${label}: record` }, [
    run,
    lineage,
    { figures, seconds, wallSeconds: (Date.now() - startedAt) / 1000, peakMemoryBytes },
  ]);
  return { policy, figures, peakMemoryBytes };
}
