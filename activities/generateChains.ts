/** Generates the chains of one shard: every sample of its requests, by the policy, in one batch after another. */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { withoutOpened } from '../alignment/chains/reasoningTurn.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { SampleRequest } from '../engine/policy.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardReport } from './types.ts';
import { keptChatTokenizer, type ChatTokenizer } from './chatTokenizer.ts';
import type { ActivityDependencies, GpuDependencies } from './dependencies.ts';
import { engineSettings, localPolicy, policyInputs, readConfiguration, readJson, toLines } from './inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard, ModelManifest } from './plans.ts';
import { encodePrompts, promptId } from './samplePrompts.ts';
import { endAsWritten } from './writtenChains.ts';
import { deviceFigures, runStage, withEngine, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

export interface GenerationInput {
  plan: ArtifactRef;
  policy: PolicyState;
  shard: number;
}

export async function generateChains(
  dependencies: GpuDependencies,
  run: RunContext,
  input: GenerationInput,
): Promise<ShardReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<GenerationPlan>(store, input.plan);
  const model = await readJson<ModelManifest>(store, input.policy.model);
  const stage = generationStage(plan, input.shard, model, input.policy, configuration);

  const manifest = await runStage(dependencies, stage, async () => {
    const shard = await readJson<GenerationShard>(store, plan.shards[input.shard]!.shard);
    const policy = await localPolicy(dependencies, configuration, input.policy);
    const tokenizer = await keptChatTokenizer(policy, shard.reasoning);
    const engine = dependencies.engineFor(engineSettings(dependencies, configuration));
    const startedAt = performance.now();
    const sampled = shard.items.filter(({ written }) => written === undefined);
    const request: SampleRequest = {
      policy,
      ...(shard.weights ? { weights: shard.weights } : {}),
      prompts: encodePrompts(tokenizer, sampled),
      options: {
        ...shard.sampling,
        stopTokens: tokenizer.eosTokens,
        ...(shard.sampling.stopStrings ? { tokenizerPath: policy.modelPath } : {}),
      },
    };
    const samples =
      sampled.length === 0 ? [] : await withEngine(engine, (onProgress) => engine.sample(request, onProgress));
    const seconds = (performance.now() - startedAt) / 1000;
    const items = new Map(shard.items.map((item) => [promptId(item), item]));
    const rawTokens = new Map(shard.items.map((item) => [promptId(item), encodeRaw(tokenizer, item)]));
    const written = shard.items.flatMap((item) =>
      item.written === undefined
        ? []
        : endAsWritten(writtenChain(tokenizer, item, item.written), item, shard.sampling.maxNewTokens),
    );
    const generated = samples.map((sample): ChainRecord => {
      const item = items.get(sample.promptId)!;
      return {
        requestId: item.requestId,
        sampleIndex: item.firstSample + sample.sampleIndex,
        guidance: item.guidance,
        caseIds: item.caseIds,
        promptTokens: rawTokens.get(sample.promptId)!,
        tokens: sample.tokens,
        logProbs: sample.logProbs,
        text: (item.begun ?? tokenizer.opened) + tokenizer.decode(sample.tokens, { skipSpecial: true }),
        finishReason: sample.finishReason,
      };
    });
    const chains = [...written, ...generated];
    const tokens = generated.reduce((sum, chain) => sum + chain.tokens.length, 0);
    return {
      outputs: { chains: { bytes: toLines(chains), kind: 'chains' } },
      figures: {
        chains: chains.length,
        tokens,
        seconds,
        cut: chains.filter((chain) => chain.finishReason === 'length').length,
        peakMemoryBytes: await engine.peakMemoryBytes(),
        ...deviceFigures(dependencies, engine),
      },
    };
  });
  return reportOf(manifest);
}

/** The step of one generation shard. */
function generationStage(
  plan: GenerationPlan,
  shard: number,
  model: ModelManifest,
  policy: PolicyState,
  configuration: Configuration,
): Stage {
  return {
    stage: 'generateChains',
    version: stageVersions.generateChains,
    inputs: {
      ...policyInputs(configuration, model, policy),
      shard: plan.shards[shard]!.shard.sha256,
    },
  };
}

/** The chains of a shard that has been generated. */
export async function generatedChains(
  { store }: Pick<ActivityDependencies, 'store'>,
  plan: GenerationPlan,
  shard: number,
  policy: PolicyState,
  configuration: Configuration,
) {
  const model = await readJson<ModelManifest>(store, policy.model);
  return readStep(store, stepKey(generationStage(plan, shard, model, policy, configuration)));
}

function encodeRaw(tokenizer: ChatTokenizer, item: GenerationItem): number[] {
  return tokenizer.encodeChat(item.guidance === 'raw' ? item.messages : item.rawMessages, { addGenerationPrompt: true })
    .tokens;
}

/** A text as the chain that would have been sampled: its tokens and the token that ends the policy's turns. No distribution was drawn from. */
function writtenChain(tokenizer: ChatTokenizer, item: GenerationItem, text: string): ChainRecord {
  // A model may have several stop tokens: the one that its template puts behind an answer.
  const dialogue = tokenizer.encodeChat([...item.rawMessages, { role: 'assistant', content: text }]).tokens;
  const stop = dialogue.findLast((token) => tokenizer.eosTokens.includes(token)) ?? tokenizer.eosTokens[0]!;
  const sampled = withoutOpened(text, tokenizer.opened);
  const tokens = [...tokenizer.encode(sampled, { allowSpecial: false }), stop];
  return {
    requestId: item.requestId,
    sampleIndex: item.firstSample,
    guidance: item.guidance,
    caseIds: item.caseIds,
    promptTokens: encodeRaw(tokenizer, item),
    tokens,
    logProbs: [],
    text,
    finishReason: 'stop',
  };
}

export function reportOf(manifest: { cached: boolean; figures: Record<string, unknown> }): ShardReport {
  const { tokens, seconds, peakMemoryBytes } = manifest.figures as Record<string, number | undefined>;
  return {
    cached: manifest.cached,
    tokens: tokens ?? 0,
    seconds: seconds ?? 0,
    ...(peakMemoryBytes ? { peakMemoryBytes } : {}),
  };
}
