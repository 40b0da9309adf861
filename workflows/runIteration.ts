/** One CADA iteration: sample cases -> generate chains -> reward -> RL step -> evaluate. */
import { setHandler } from '@temporalio/workflow';
import { evaluate } from './evaluation.ts';
import { generateAndReward } from './generation.ts';
import { progressQuery } from './messages.ts';
import { optimisePolicy } from './optimisation.ts';
import { startProgress } from './progress.ts';
import { planWithRefills } from './refill.ts';
import { control } from './stages.ts';
import { endsOnItsBuild } from './versioning.ts';
import type { Figures, IterationLineage, PolicyState, RunContext, TrainedPolicy } from '../activities/types.ts';

export interface IterationInput {
  run: RunContext;
  epoch: number;
  /** 1 for the first. */
  iteration: number;
  policy: PolicyState;
  /** What KL is measured to; absent = no KL term. */
  reference?: PolicyState;
  /** Evaluate on the probe set afterwards. */
  probe: boolean;
}

endsOnItsBuild(runIteration);

export async function runIteration(input: IterationInput): Promise<TrainedPolicy> {
  const { run, epoch, iteration, reference } = input;
  const label = `iteration ${iteration}`;
  const progress = startProgress(run.runId, label, iteration);
  setHandler(progressQuery, () => progress);
  const startedAt = Date.now();

  const plan = await control.sampleCases.executeWithOptions({ summary: `${label}: sample requests, codes and cases` }, [
    run,
    { kind: 'iteration', iteration, epoch },
  ]);
  const rewarded = await generateAndReward(run, label, plan, input.policy, progress);
  const { update, refills, ...spent } = await planWithRefills(run, label, input, rewarded, progress);
  const trained = await optimisePolicy(run, label, update, input.policy, reference, progress);

  let figures = { ...rewarded.figures, ...update.figures, ...trained.figures };
  let seconds = { ...spent.seconds, ...trained.seconds };
  const probe = input.probe
    ? await evaluate(run, `${label}: probe`, { name: label, set: 'probe' }, trained.policy, progress)
    : undefined;
  if (probe) {
    figures = { ...figures, ...prefixed('probe', probe.figures) };
    seconds = { ...seconds, probe: probe.seconds['generate']! };
  }

  const peakMemoryBytes = Math.max(spent.peakMemoryBytes, trained.peakMemoryBytes, probe?.peakMemoryBytes ?? 0);
  const lineage: IterationLineage = {
    epoch,
    iteration,
    parent: input.policy.adapter?.sha256 ?? null,
    policy: trained.policy,
    plan: rewarded.plan,
    chains: rewarded.chains,
    rewards: rewarded.rewards,
    ...(refills.length > 0 ? { refills } : {}),
    updatePlan: update.plan,
    evaluation: probe?.evaluation ?? null,
  };
  await control.recordIteration.executeWithOptions({ summary: `${label}: record` }, [
    run,
    lineage,
    { figures, seconds, wallSeconds: (Date.now() - startedAt) / 1000, peakMemoryBytes },
  ]);
  return { policy: trained.policy, figures, peakMemoryBytes };
}

function prefixed(prefix: string, figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}/${name}`, value]));
}
