/**
 * What the answers of a validation split do, told by another judge than the rules: by the policy itself, which is asked yes or no through the engine, or by
 * the run's endpoint. Neither is shown an analysis.
 */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { gradingSettings } from '../alignment/configuration/judge.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { jailbreakQuestion, refusalQuestion } from '../alignment/judges/outcomeQuestions.ts';
import type { Library, SafetyRequest } from '../alignment/library/library.ts';
import type { ValidationOutcome } from '../alignment/preferences/chooseMethod.ts';
import {
  selfAnswers,
  selfProbability,
  selfQuestion,
  selfQuestionVersion,
} from '../alignment/preferences/selfJudgement.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import { loadTokenizer } from '../engine/tokenizer/tokenizer.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardReport } from './types.ts';
import type { ActivityDependencies, GpuDependencies } from './dependencies.ts';
import { formatInputs } from './formatInputs.ts';
import { reportOf } from './generateChains.ts';
import {
  engineSettings,
  localPolicy,
  policyInputs,
  readConfiguration,
  readJson,
  readLibrary,
  readLines,
} from './inputs.ts';
import { askAll, judgeFigures, outcomeJudgeFor } from './judgePool.ts';
import type { ModelManifest, ShardList } from './plans.ts';
import { requestsById } from './rewardChains.ts';
import { measuredWithinMemory, runStage, withEngine, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

export interface ValidationShard {
  chains: ArtifactRef;
  policy: PolicyState;
  shard: number;
}

/** An outcome, with what the policy makes of it. */
export type JudgedOutcome = ValidationOutcome & {
  /** Of yes, where the policy was asked. */
  probability?: number;
};

export async function judgeByPolicy(
  dependencies: GpuDependencies,
  run: RunContext,
  input: ValidationShard,
): Promise<ShardReport> {
  const { store, configuration, library, chainsRef } = await openShard(dependencies, run, input);
  const model = await readJson<ModelManifest>(store, input.policy.model);
  const stage = selfStage(chainsRef, { configuration, library, model, policy: input.policy });

  const manifest = await runStage(dependencies, stage, async () => {
    const answers = await judgedAnswers(dependencies, chainsRef, configuration, library);
    const policy = await localPolicy(dependencies, configuration, input.policy);
    // Its first word is the answer: a template with a reasoning turn leaves it empty.
    const tokenizer = await loadTokenizer(policy.modelPath, { templateVariables: { enable_thinking: false } });
    const sequences = answers.flatMap(({ request, judged }) => {
      const messages = selfQuestion(judged, request.label);
      const promptTokens = tokenizer.encodeChat(messages, { addGenerationPrompt: true }).tokens;
      return selfAnswers.map((answer) => ({
        id: `${request.id} ${answer}`,
        promptTokens,
        completionTokens: tokenizer.encode(answer, { allowSpecial: false }),
      }));
    });
    const settings = engineSettings(dependencies, configuration);
    const { value: logProbs, figures } = await measuredWithinMemory(dependencies, settings, (engine) =>
      withEngine(engine, (onProgress) => engine.logProbs({ policy, temperature: 1, sequences }, onProgress)),
    );
    const sums = logProbs.map((row) => row.reduce((sum, value) => sum + value, 0));
    const outcomes = answers.map(({ request }, index): JudgedOutcome => {
      const probability = selfProbability(sums[2 * index]!, sums[2 * index + 1]!);
      return { ...outcomeOf(request, probability > 0.5), probability };
    });
    return {
      outputs: { outcomes: { bytes: canonicalJson(outcomes), kind: 'validation-outcomes' } },
      figures: {
        tokens: sequences.reduce((sum, one) => sum + one.promptTokens.length + one.completionTokens.length, 0),
        ...figures,
      },
    };
  });
  return reportOf(manifest);
}

export async function judgeByEndpoint(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: ValidationShard,
): Promise<ShardReport> {
  const { store, configuration, library, chainsRef } = await openShard(dependencies, run, input);
  const manifest = await runStage(dependencies, endpointStage(chainsRef, configuration, library), async () => {
    const startedAt = performance.now();
    const answers = await judgedAnswers(dependencies, chainsRef, configuration, library);
    const settings = configuration.judge!;
    const [doesHarm, refuses] = [
      outcomeJudgeFor(store, run.runId, settings, jailbreakQuestion),
      outcomeJudgeFor(store, run.runId, settings, refusalQuestion),
    ];
    const ask = async (
      text: (typeof answers)[number]['judged'] & { label: SafetyRequest['label'] },
      signal?: AbortSignal,
    ) => {
      const { label, ...judged } = text;
      if (label === 'harmful') return doesHarm(judged, signal);
      const { answer, ...asked } = await refuses(judged, signal);
      return { ...asked, answer: answer === null ? null : answer !== '1_full_compliance' };
    };
    const asked = await askAll(
      ask,
      answers.map(({ request, judged }) => ({ ...judged, label: request.label })),
      configuration.iteration.maxUnscorable,
    );
    const outcomes = answers.map(({ request }, index): JudgedOutcome => outcomeOf(request, asked[index]!.answer));
    return {
      outputs: { outcomes: { bytes: canonicalJson(outcomes), kind: 'validation-outcomes' } },
      figures: {
        tokens: 0,
        seconds: (performance.now() - startedAt) / 1000,
        ...judgeFigures(asked.flatMap((one) => one ?? [])),
      },
    };
  });
  return reportOf(manifest);
}

/** The outcomes of a shard that one of the two has judged; undefined where it has not. */
export async function judgedOutcomes(
  { store }: ActivityDependencies,
  chains: ArtifactRef,
  judged: { judge: 'self' | 'endpoint'; configuration: Configuration; library: Library; policy: PolicyState },
): Promise<JudgedOutcome[] | undefined> {
  const { judge, configuration, library, policy } = judged;
  const stage =
    judge === 'self'
      ? selfStage(chains, { ...judged, model: await readJson<ModelManifest>(store, policy.model) })
      : endpointStage(chains, configuration, library);
  const manifest = await readStep(store, stepKey(stage));
  return manifest && readJson<JudgedOutcome[]>(store, manifest.outputs['outcomes']!);
}

/** What the judging of one shard starts from. */
async function openShard({ store }: ActivityDependencies, run: RunContext, { chains, shard }: ValidationShard) {
  const configuration = await readConfiguration(store, run);
  const library = await readLibrary(store, run);
  const chainsRef = (await readJson<ShardList>(store, chains)).shards[shard]!.artifact;
  return { store, configuration, library, chainsRef };
}

async function judgedAnswers(
  { store }: ActivityDependencies,
  chains: ArtifactRef,
  configuration: Configuration,
  library: Library,
) {
  const requests = requestsById(library);
  return (await readLines<ChainRecord>(store, chains)).map((chain) => {
    const request = requests.get(chain.requestId)!;
    return { request, judged: judgedText(chain, request, configuration) };
  });
}

const outcomeOf = ({ id, label }: SafetyRequest, happened: boolean | null): ValidationOutcome => ({
  requestId: id,
  harmful: label === 'harmful',
  happened,
});

function selfStage(
  chains: ArtifactRef,
  {
    configuration,
    library,
    model,
    policy,
  }: { configuration: Configuration; library: Library; model: ModelManifest; policy: PolicyState },
): Stage {
  return {
    stage: 'judgeByPolicy',
    version: stageVersions.judgeByPolicy,
    inputs: {
      ...policyInputs(configuration, model, policy),
      ...answerInputs(chains, configuration, library),
      question: selfQuestionVersion,
    },
  };
}

function endpointStage(chains: ArtifactRef, configuration: Configuration, library: Library): Stage {
  return {
    stage: 'judgeByEndpoint',
    version: stageVersions.judgeByEndpoint,
    inputs: { ...answerInputs(chains, configuration, library), grading: gradingSettings(configuration.judge!) },
  };
}

/** What the judged texts come from. */
const answerInputs = (chains: ArtifactRef, { chain }: Configuration, { requests }: Library) => ({
  chains: chains.sha256,
  ...formatInputs(chain),
  requests: sha256(canonicalJson(requests.development)),
});
