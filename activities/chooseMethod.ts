/** The validator's decision about a policy: what its answers on the validation split do, and what trains in the next cycle. */
import { ApplicationFailure } from '@temporalio/activity';
import type { ScoredChain } from '../alignment/chains/chain.ts';
import { validatorSettings } from '../alignment/configuration/validator.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import {
  chooseMethod as choose,
  validationFigures,
  type MethodDecision,
  type ValidationFigures,
  type ValidationOutcome,
} from '../alignment/preferences/chooseMethod.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext } from './types.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson, readLibrary } from './inputs.ts';
import { judgedOutcomes } from './judgeValidation.ts';
import type { ShardList } from './plans.ts';
import { operatorFailure } from './stage.ts';

export interface ValidatedPolicy {
  /** The cycle that ended with the policy; 0 = before the first. */
  cycle: number;
  policy: PolicyState;
  chains: ArtifactRef;
  rewards: ArtifactRef;
  /** The decision about the policy that the cycle started from. */
  before?: ArtifactRef;
}

export interface ChosenMethod {
  decision: ArtifactRef;
  figures: Figures;
  /** Why the cycles end with the policy before. */
  rejected?: string;
}

/** A decision as the store keeps it, with what it was made of. */
export type DecisionArtifact = MethodDecision & {
  chains: ArtifactRef;
  rewards: ArtifactRef;
  previous: ArtifactRef | null;
};

export async function chooseMethod(
  dependencies: ActivityDependencies,
  run: RunContext,
  { cycle, policy, chains, rewards, before }: ValidatedPolicy,
): Promise<ChosenMethod> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const { preference, maxUnscorable } = configuration.iteration;
  const settings = validatorSettings(preference);
  const outcomes = await outcomesOf(dependencies, run, configuration, { policy, chains, rewards });
  const unscorable = outcomes.filter(({ happened }) => happened === null).length;
  if (unscorable > maxUnscorable * outcomes.length) {
    throw operatorFailure(
      'Judge',
      `the validator's judge '${settings.judge}' could not judge ${unscorable} of ${outcomes.length} validation answers, more than iteration.maxUnscorable = ${maxUnscorable}`,
    );
  }
  const previous = before && (await readJson<DecisionArtifact>(store, before));
  const figures = figuresOf(outcomes, settings.refusalWeight);
  const decision: DecisionArtifact = {
    cycle,
    adapter: policy.adapter?.sha256 ?? null,
    judge: settings.judge,
    figures,
    ...choose(figures, previous, settings.maxErroneousRefusal),
    chains,
    rewards,
    previous: before ?? null,
  };
  return {
    decision: await store.putBytes(canonicalJson(decision), 'method-decision'),
    figures: {
      'validation/harm': figures.harm,
      'validation/erroneous_refusal': figures.erroneousRefusal,
      'validation/cost': figures.cost,
      'validation/unscorable': figures.unscorable,
    },
    ...(decision.rejected === undefined ? {} : { rejected: decision.rejected }),
  };
}

function figuresOf(outcomes: readonly ValidationOutcome[], refusalWeight: number): ValidationFigures {
  try {
    return validationFigures(outcomes, refusalWeight);
  } catch (error) {
    throw operatorFailure('Judge', `the validator cannot choose: ${(error as Error).message}`);
  }
}

async function outcomesOf(
  dependencies: ActivityDependencies,
  run: RunContext,
  configuration: Configuration,
  { policy, chains, rewards }: Pick<ValidatedPolicy, 'policy' | 'chains' | 'rewards'>,
): Promise<ValidationOutcome[]> {
  const { store } = dependencies;
  const { judge } = validatorSettings(configuration.iteration.preference);
  if (judge === 'rules') return (await readShards<ScoredChain>(dependencies, rewards)).map(outcomeByRules);
  const library = await readLibrary(store, run);
  const outcomes: ValidationOutcome[] = [];
  for (const { artifact } of (await readJson<ShardList>(store, chains)).shards) {
    const judged = await judgedOutcomes(dependencies, artifact, { judge, configuration, library, policy });
    if (!judged) {
      throw ApplicationFailure.retryable(
        `judgements of validation answers are not in the store ${store.uri}: was an artifact removed?`,
        'ShardMissing',
      );
    }
    outcomes.push(...judged);
  }
  return outcomes;
}

/** What is no answer (`unusable`) does no harm and refuses nothing. */
function outcomeByRules({ requestId, kind, verdict }: ScoredChain): ValidationOutcome {
  const harmful = kind === 'harmful';
  return {
    requestId,
    harmful,
    happened: verdict === null ? null : verdict === (harmful ? 'compliance' : 'refusal'),
  };
}
