/** Rewards of one shard of chains. The judge is given the request and the final response, never the analysis. */
import { Context } from '@temporalio/activity';
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { createRuleJudge } from '../alignment/judges/ruleJudge.ts';
import type { Library } from '../alignment/library/library.ts';
import { requestsById } from '../alignment/library/requestsById.ts';
import { guardThreshold } from '../alignment/configuration/guardModel.ts';
import { gradingSettings } from '../alignment/configuration/judge.ts';
import { asksGuardModel, asksRubricJudge } from '../alignment/configuration/optionalRewards.ts';
import { groundsOf } from '../alignment/rewards/groundingReward.ts';
import { judgedText, rewardChain } from '../alignment/rewards/scoreChain.ts';
import { codesText } from '../alignment/prompts/guidedPrompt.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, RunContext, ShardReport } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { guardStepKey, guardVerdicts } from './guardChains.ts';
import type { RubricGrading } from './endpointJudge.ts';
import { findLeaks } from './findLeaks.ts';
import { gradeChains, judgeFigures, rubricJudgeFor } from './judgePool.ts';
import { formatInputs } from './formatInputs.ts';
import { readConfiguration, readJson, readLibrary, readLines, toLines } from './inputs.ts';
import { runOwnRewards } from './ownRewards.ts';
import type { ShardList } from './plans.ts';
import { runStage, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

export { requestsById };

export interface RewardInput {
  chains: ArtifactRef;
  shard: number;
}

export async function rewardChains(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: RewardInput,
): Promise<ShardReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const library = await readLibrary(store, run);
  const list = await readJson<ShardList>(store, input.chains);
  const chainsRef = list.shards[input.shard]!.artifact;
  const guardKey = await guardKeyOf(dependencies, run, configuration, chainsRef);

  const manifest = await runStage(dependencies, rewardStage(chainsRef, configuration, library, guardKey), async () => {
    const startedAt = performance.now();
    const judge = createRuleJudge(library.judges.refusal);
    const requests = requestsById(library);
    const settings = {
      ...configuration,
      publishedPhrases: library.judges.publishedPhrases,
      ...(configuration.rewards.grounding === undefined ? {} : { grounds: groundsOf(library) }),
    };
    const chains = await readLines<ChainRecord>(store, chainsRef);
    const gradings = await gradeChains(store, run, configuration, chains, requests, library.codes);
    const guarded = guardKey === undefined ? [] : await guardVerdicts(dependencies, guardKey);
    const own = await runOwnRewards(configuration, chains, requests);
    const scored: ScoredChain[] = [];
    for (const [index, chain] of chains.entries()) {
      const request = requests.get(chain.requestId)!;
      const judgement = judge(judgedText(chain, request, settings));
      const guard = guarded[index];
      scored.push(
        rewardChain(chain, request, judgement, settings, gradings[index], {
          ...(guard ? { guard } : {}),
          own: own.outcomes.map((ofReward) => ofReward[index]!),
        }),
      );
      Context.current().heartbeat({ scored: scored.length });
    }
    const leaks = await leaksIn(dependencies, run, configuration, library, chains, scored);
    return {
      outputs: { rewards: { bytes: toLines(scored), kind: 'rewards' } },
      figures: {
        rows: scored.length,
        tokens: 0,
        seconds: (performance.now() - startedAt) / 1000,
        ...judgeFigures([...gradings.flatMap((grading) => grading ?? []), ...leaks]),
        ...own.figures,
      },
    };
  });
  const { seconds } = manifest.figures as { seconds: number };
  return { cached: manifest.cached, tokens: 0, seconds };
}

/** The step with the guard model's verdicts on a shard; undefined where no reward asks for them. */
async function guardKeyOf(
  dependencies: ActivityDependencies,
  run: RunContext,
  configuration: Configuration,
  chains: ArtifactRef,
): Promise<string | undefined> {
  if (!asksGuardModel(configuration)) return undefined;
  if (!run.guardModel) throw new Error('the guard model of the run has not been prepared');
  return guardStepKey(dependencies, run, { model: run.guardModel }, chains);
}

/** Adds leaks to the scores, where they are looked for; answers with what the rubric judge was asked. */
async function leaksIn(
  { store }: ActivityDependencies,
  run: RunContext,
  configuration: Configuration,
  library: Library,
  chains: readonly ChainRecord[],
  scored: ScoredChain[],
): Promise<RubricGrading[]> {
  if (!configuration.evaluation.leaks) return [];
  const requests = requestsById(library);
  const judge = asksRubricJudge(configuration) ? configuration.judge : undefined;
  const candidates = chains.map(({ requestId, text }, index) => {
    const request = requests.get(requestId)!;
    const { kind, verdict } = scored[index]!;
    return {
      ...{ text, kind, verdict, request: request.request },
      ...(judge?.codes ? { codes: codesText(request, library.codes, judge.codes, configuration.chain) } : {}),
    };
  });
  const { leaks, asked } = await findLeaks(candidates, {
    ...{ format: configuration.chain, judges: library.judges, maxUnscorable: configuration.iteration.maxUnscorable },
    rubric: judge ? rubricJudgeFor(store, run.runId, judge) : undefined,
  });
  for (const [index, leak] of leaks.entries()) if (leak) scored[index]!.leak = leak;
  return asked;
}

function rewardStage(
  chains: ArtifactRef,
  configuration: Configuration,
  library: Library,
  guardKey: string | undefined,
): Stage {
  const { rewards, judge, ensemble, guardModel } = configuration;
  const asksRubric = asksRubricJudge(configuration);
  return {
    stage: 'rewardChains',
    version: stageVersions.rewardChains,
    inputs: {
      chains: chains.sha256,
      ...formatInputs(configuration.chain),
      rewards,
      ...(configuration.evaluation.leaks ? { leaks: true } : {}),
      judges: sha256(canonicalJson(library.judges)),
      requests: sha256(canonicalJson([library.requests, library.benchmarks])),
      // Only what a weight asks for, so that the keys of other configurations stay as they are.
      ...(asksRubric && judge ? { grading: gradingSettings(judge) } : {}),
      ...(asksRubric && judge?.codes ? { judgeCodes: sha256(canonicalJson(library.codes)) } : {}),
      ...(rewards.length === undefined ? {} : { maxNewTokens: configuration.chain.maxNewTokens }),
      ...(rewards.grounding === undefined ? {} : { grounds: sha256(canonicalJson(groundsOf(library))) }),
      ...(guardKey === undefined ? {} : { guard: guardKey, guardThreshold: guardThreshold(guardModel ?? {}) }),
      ...(rewards.ensemble === undefined ? {} : { ensemble }),
    },
  };
}

/** The rewards of a shard that has been scored. */
export async function scoredChains(
  dependencies: ActivityDependencies,
  run: RunContext,
  chains: ArtifactRef,
  configuration: Configuration,
  library: Library,
) {
  const guardKey = await guardKeyOf(dependencies, run, configuration, chains);
  return readStep(dependencies.store, stepKey(rewardStage(chains, configuration, library, guardKey)));
}
