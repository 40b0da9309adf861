/** One CADA iteration: sample cases -> generate chains -> reward -> RL step -> evaluate. */
import { setHandler, setWorkflowOptions } from '@temporalio/workflow';
import { evaluate } from './evaluation.ts';
import { generateAndReward } from './generation.ts';
import { progressQuery } from './messages.ts';
import { optimisePolicy } from './optimisation.ts';
import { startProgress } from './progress.ts';
import { control } from './stages.ts';
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

// Ends on the build that it began on (docs/upgrades.md).
setWorkflowOptions({ versioningBehavior: 'PINNED' }, runIteration);

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
  const update = await control.planUpdate.executeWithOptions({ summary: `${label}: advantages` }, [
    run,
    { iteration, chains: rewarded.chains, rewards: rewarded.rewards },
  ]);
  const trained = await optimisePolicy(run, label, update, input.policy, reference, progress);

  let figures = { ...rewarded.figures, ...update.figures, ...trained.figures };
  let seconds = { ...rewarded.seconds, ...trained.seconds };
  const probe = input.probe
    ? await evaluate(run, `${label}: probe`, { name: label, set: 'probe' }, trained.policy, progress)
    : undefined;
  if (probe) {
    figures = { ...figures, ...prefixed('probe', probe.figures) };
    seconds = { ...seconds, probe: probe.seconds['generate']! };
  }

  const peakMemoryBytes = Math.max(rewarded.peakMemoryBytes, trained.peakMemoryBytes, probe?.peakMemoryBytes ?? 0);
  const lineage: IterationLineage = {
    epoch,
    iteration,
    parent: input.policy.adapter?.sha256 ?? null,
    policy: trained.policy,
    plan: rewarded.plan,
    chains: rewarded.chains,
    rewards: rewarded.rewards,
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
