/**
 * Plans the optimizer step of a preference loss: its coefficient of each sequence as the weight of the sequence's tokens under the objective `sft`, which
 * is its exact gradient (alignment/preferences/sequenceScore.ts). The second of the two passes.
 */
import { ApplicationFailure } from '@temporalio/activity';
import { preferenceSettings } from '../alignment/configuration/arms.ts';
import { dpoStep, ktoStep, type PreferenceStep } from '../alignment/preferences/preferenceStep.ts';
import { tokenWeight } from '../alignment/preferences/sequenceScore.ts';
import { scheduledLearningRate } from '../alignment/schedules.ts';
import type { Figures, RunContext, UpdatePlan } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson } from './inputs.ts';
import {
  gatherPrompts,
  type PreferencePlan,
  type PreferenceScore,
  type PreferenceSequence,
  type PreferenceShard,
} from './preferencePlan.ts';
import { publishPlan } from './publishPlan.ts';
import { preferenceScores, type PreferenceScoring } from './scorePreferences.ts';

export async function planPreferenceUpdate(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: PreferenceScoring & { iteration: number },
): Promise<UpdatePlan> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const { iteration } = configuration;
  const plan = await readJson<PreferencePlan>(store, input.preferences);
  const scores = await preferenceScores(dependencies, plan, input, configuration);
  if (!scores) {
    throw ApplicationFailure.retryable(
      `log-probabilities of the preferences are not in the store ${store.uri}: was an artifact removed?`,
      'ShardMissing',
    );
  }
  const sequences = new Map<string, PreferenceSequence>();
  for (const shard of plan.shards) {
    for (const sequence of (await readJson<PreferenceShard>(store, shard)).sequences)
      sequences.set(sequence.id, sequence);
  }
  const step = preferenceStep(plan, scores, preferenceSettings(iteration.preference));
  const taught = (step?.coefficients ?? []).filter(({ coefficient }) => coefficient !== 0);
  return publishPlan(
    store,
    'iteration',
    taught.length === 0
      ? []
      : [
          {
            objective: { name: 'sft' },
            settings: iteration,
            learningRate: scheduledLearningRate(iteration, input.iteration, iteration.count),
            sequences: gatherPrompts(
              taught.map(({ id, coefficient }) => ({ ...sequences.get(id)!, weight: tokenWeight(coefficient) })),
            ),
          },
        ],
    configuration,
    step ? { ...step.figures, kl: meanKl(step, scores) } : {},
  );
}

/** Undefined where there is nothing to compare: no request with a better and a worse chain, or too few requests. */
function preferenceStep(
  plan: PreferencePlan,
  scores: ReadonlyMap<string, PreferenceScore>,
  settings: ReturnType<typeof preferenceSettings>,
): PreferenceStep | undefined {
  const scoreOf = (id: string): PreferenceScore => scores.get(id)!;
  if (plan.method === 'dpo') {
    const pairs = plan.pairs.map(({ chosen, rejected }) => ({ chosen: scoreOf(chosen), rejected: scoreOf(rejected) }));
    return pairs.length === 0 ? undefined : dpoStep(pairs, settings);
  }
  if (plan.labelled.length === 0 || (settings.ktoLoss === 'kto' && plan.mismatched.length === 0)) return undefined;
  const labelled = plan.labelled.map(({ id, desirable }) => ({ ...scoreOf(id), desirable }));
  return ktoStep(labelled, plan.mismatched.map(scoreOf), settings);
}

/** The mean of k3 over the tokens of the compared sequences. */
function meanKl({ coefficients }: PreferenceStep, scores: ReadonlyMap<string, PreferenceScore>): Figures[string] {
  const compared = coefficients.map(({ id }) => scores.get(id)!);
  const tokens = compared.reduce((sum, score) => sum + score.tokens, 0);
  return compared.reduce((sum, score) => sum + score.kl, 0) / tokens;
}
