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
import { planWithVectors } from './vectors.ts';
import { validatePolicy } from './validation.ts';
import { endsOnItsBuild } from './versioning.ts';
import type {
  Figures,
  IterationLineage,
  PolicyState,
  RunContext,
  RunPlan,
  TrainedPolicy,
} from '../activities/types.ts';

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
  /** A validator chooses the method of each cycle, by this judge. */
  validator?: NonNullable<RunPlan['validator']>;
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

  // The first cycle has no decision to start from.
  const opening =
    input.validator && !input.policy.decision
      ? await validatePolicy(
          run,
          `${label}: validate the start`,
          { by: input.validator, cycle: iteration - 1, policy: input.policy },
          progress,
        )
      : undefined;
  const decision = input.validator && (input.policy.decision ?? opening?.decision);

  const { model } = input.policy;
  const plan = await planWithVectors(run, model, progress, () =>
    control.sampleCases.executeWithOptions({ summary: `${label}: sample requests, codes and cases` }, [
      run,
      { kind: 'iteration', iteration, epoch },
      model,
    ]),
  );
  const rewarded = await generateAndReward(run, label, plan, input.policy, progress);
  const planned =
    input.preferences && reference
      ? await planByPreferences(run, label, { ...input, reference, decision, plan }, rewarded, progress)
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

  const validated = input.validator
    ? await validatePolicy(
        run,
        `${label}: validate`,
        {
          ...{ by: input.validator, cycle: iteration, policy: trained.policy },
          ...(decision ? { before: decision } : {}),
        },
        progress,
      )
    : undefined;
  if (validated) {
    figures = { ...figures, ...validated.figures };
    seconds = { ...seconds, validate: (opening?.seconds ?? 0) + validated.seconds };
  }
  const policy: PolicyState = validated ? { ...trained.policy, decision: validated.decision } : trained.policy;

  const peakMemoryBytes = Math.max(
    spent.peakMemoryBytes,
    trained.peakMemoryBytes,
    probe?.peakMemoryBytes ?? 0,
    opening?.peakMemoryBytes ?? 0,
    validated?.peakMemoryBytes ?? 0,
  );
  const lineage: IterationLineage = {
    epoch,
    iteration,
    parent: input.policy.adapter?.sha256 ?? null,
    policy,
    plan: rewarded.plan,
    chains: rewarded.chains,
    rewards: rewarded.rewards,
    ...(refills.length > 0 ? { refills } : {}),
    ...(preferences ? { preferences } : {}),
    ...(validated ? { validation: validated.decision } : {}),
    updatePlan: update.plan,
    evaluation: probe?.evaluation ?? null,
  };
  await control.recordIteration.executeWithOptions({ summary: `${label}: record` }, [
    run,
    lineage,
    { figures, seconds, wallSeconds: (Date.now() - startedAt) / 1000, peakMemoryBytes },
  ]);
  return { policy, figures, peakMemoryBytes, ...(validated?.rejected ? { rejected: validated.rejected } : {}) };
}

function prefixed(prefix: string, figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}/${name}`, value]));
}
