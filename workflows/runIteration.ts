/** One CADA iteration: sample cases -> generate chains -> reward -> RL step -> evaluate. */
import { setHandler } from '@temporalio/workflow';
import { evaluate } from './evaluation.ts';
import { generateAndReward } from './generation.ts';
import { progressQuery } from './messages.ts';
import { optimisePolicy } from './optimisation.ts';
import { planByPreferences } from './preferences.ts';
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
  /** What KL is measured to, or a preference loss starts from; absent = no KL term. */
  reference?: PolicyState;
  /** Train by preferences among the chains, in place of policy gradients. */
  preferences?: true;
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
  const planned =
    input.preferences && reference
      ? await planByPreferences(run, label, { ...input, reference }, rewarded, progress)
      : await planWithRefills(run, label, input, rewarded, progress);
  const { update, refills, preferences, ...spent } = planned;
  // The reference is in a preference loss already: its gradient is that of weighted log-probabilities alone.
  const trained = await optimisePolicy(run, label, update, input.policy, preferences ? undefined : reference, progress);

  let figures = preferences
    ? { ...rewarded.figures, ...trained.figures, ...update.figures }
    : { ...rewarded.figures, ...update.figures, ...trained.figures };
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
    ...(preferences ? { preferences } : {}),
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
