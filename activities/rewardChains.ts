/** Rewards of one shard of chains. The judge is given the request and the final response, never the analysis. */
import { Context } from '@temporalio/activity';
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { createRuleJudge } from '../alignment/judges/ruleJudge.ts';
import { requestSplits, type Library, type SafetyRequest } from '../alignment/library/library.ts';
import { gradingSettings } from '../alignment/configuration/judge.ts';
import { groundsOf } from '../alignment/rewards/groundingReward.ts';
import { judgedText, rewardChain } from '../alignment/rewards/scoreChain.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, RunContext, ShardReport } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { gradeChains, judgeFigures } from './judgePool.ts';
import { formatInputs } from './formatInputs.ts';
import { readConfiguration, readJson, readLibrary, readLines, toLines } from './inputs.ts';
import type { ShardList } from './plans.ts';
import { runStage, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

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

  const manifest = await runStage(dependencies, rewardStage(chainsRef, configuration, library), async () => {
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
    const scored: ScoredChain[] = [];
    for (const [index, chain] of chains.entries()) {
      const request = requests.get(chain.requestId)!;
      const judgement = judge(judgedText(chain, request, settings));
      scored.push(rewardChain(chain, request, judgement, settings, gradings[index]));
      Context.current().heartbeat({ scored: scored.length });
    }
    return {
      outputs: { rewards: { bytes: toLines(scored), kind: 'rewards' } },
      figures: {
        rows: scored.length,
        tokens: 0,
        seconds: (performance.now() - startedAt) / 1000,
        ...judgeFigures(gradings.flatMap((grading) => grading ?? [])),
      },
    };
  });
  const { seconds } = manifest.figures as { seconds: number };
  return { cached: manifest.cached, tokens: 0, seconds };
}

function rewardStage(chains: ArtifactRef, configuration: Configuration, library: Library): Stage {
  return {
    stage: 'rewardChains',
    version: stageVersions.rewardChains,
    inputs: {
      chains: chains.sha256,
      ...formatInputs(configuration.chain),
      rewards: configuration.rewards,
      judges: sha256(canonicalJson(library.judges)),
      requests: sha256(canonicalJson([library.requests, library.benchmarks])),
      // Only what a weight asks for, so that the keys of other configurations stay as they are.
      ...(configuration.rewards.graded === undefined || !configuration.judge
        ? {}
        : { grading: gradingSettings(configuration.judge) }),
      ...(configuration.rewards.graded === undefined || !configuration.judge?.codes
        ? {}
        : { judgeCodes: sha256(canonicalJson(library.codes)) }),
      ...(configuration.rewards.length === undefined ? {} : { maxNewTokens: configuration.chain.maxNewTokens }),
      ...(configuration.rewards.grounding === undefined ? {} : { grounds: sha256(canonicalJson(groundsOf(library))) }),
    },
  };
}

/** The rewards of a shard that has been scored. */
export async function scoredChains(
  { store }: ActivityDependencies,
  chains: ArtifactRef,
  configuration: Configuration,
  library: Library,
) {
  return readStep(store, stepKey(rewardStage(chains, configuration, library)));
}

export function requestsById(library: Library): Map<string, SafetyRequest> {
  return new Map(
    [...requestSplits.map((split) => library.requests[split]), ...Object.values(library.benchmarks)].flatMap(
      (requests) => requests.map((request) => [request.id, request] as const),
    ),
  );
}
