/**
 * A deliberation, phase by phase: reads what was written for one, decides by it, and plans what is asked next. The asking is a stage of shards, by the policy or
 * by the teacher; when all is said, the chains are planned as written.
 */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { deliberationSettings } from '../alignment/configuration/chainSource.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import {
  deliberationFigures,
  hearReplies,
  openDeliberation,
  questionAbout,
  type AgentReply,
  type Deliberation,
  type DeliberatedChain,
  type Phase,
} from '../alignment/deliberation/deliberation.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { deriveSeed } from '../infra/artifacts/seeds.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, ShardedPlan } from './types.ts';
import type { WrittenText } from './askTeacher.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishDerivedPlan } from './derivedPlan.ts';
import { generatedChains } from './generateChains.ts';
import { readConfiguration, readJson, readLines } from './inputs.ts';
import { missing, publishWrittenPlan, sampleId, teacherTexts } from './planWrittenChains.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from './plans.ts';

export interface DeliberationInput {
  /** The guided prompts of the chains. */
  plan: ArtifactRef;
  policy: PolicyState;
  /** What was asked last, and in which state; absent = nothing yet. */
  asked?: { state: ArtifactRef; plan: ArtifactRef };
}

export interface DeliberationStep {
  state: ArtifactRef;
  /** What is asked next; in phase `done` the chains. */
  plan: ShardedPlan;
  phase: Phase;
  /** Of critique. */
  round: number;
  by: 'policy' | 'teacher';
  /** Of the asking that has ended; in phase `done` also of the whole. */
  figures: Figures;
}

export async function deliberate(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: DeliberationInput,
): Promise<DeliberationStep> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const settings = deliberationSettings(configuration.warmStart.deliberation);
  const guided = await readJson<GenerationPlan>(store, input.plan);
  let state: Deliberation;
  let figures: Figures = {};
  if (input.asked) {
    const heard = await repliesTo(dependencies, input.asked.plan, input.policy, configuration, settings.by);
    const before = await readJson<Deliberation>(store, input.asked.state);
    state = hearReplies(before, (chain) => heard.replies.get(sampleId(chain)), settings, configuration.chain);
    figures = heard.figures;
  } else {
    state = openDeliberation(await samplesOf(dependencies, guided));
  }
  const stateRef = await store.putBytes(canonicalJson(state), 'deliberation');
  const { phase, round } = state;
  const step = { state: stateRef, phase, round, by: settings.by };
  if (phase === 'done') {
    const texts = new Map(
      state.chains.map((chain): [string, WrittenText] => [
        sampleId(chain),
        { requestId: chain.requestId, sampleIndex: chain.sampleIndex, text: chain.reply, cut: chain.cut },
      ]),
    );
    const plan = await publishWrittenPlan(dependencies, guided, texts, { plan: input.plan, state: stateRef });
    return { ...step, plan, figures: { ...figures, ...deliberationFigures(state, settings) } };
  }
  return { ...step, plan: await planQuestions(dependencies, configuration, guided, state, input.asked), figures };
}

async function samplesOf({ store }: ActivityDependencies, plan: GenerationPlan) {
  const samples: Pick<DeliberatedChain, 'requestId' | 'sampleIndex'>[] = [];
  for (const { shard } of plan.shards) {
    for (const { requestId, firstSample, seeds } of (await readJson<GenerationShard>(store, shard)).items) {
      samples.push(...seeds.map((_, index) => ({ requestId, sampleIndex: firstSample + index })));
    }
  }
  return samples;
}

/** The questions of a phase, in the shards of the guided plan; one sample each. */
function planQuestions(
  dependencies: ActivityDependencies,
  { seed, warmStart }: Configuration,
  guided: GenerationPlan,
  state: Deliberation,
  asked: DeliberationInput['asked'],
): Promise<ShardedPlan> {
  const settings = deliberationSettings(warmStart.deliberation);
  const chains = new Map(state.chains.map((chain) => [sampleId(chain), chain]));
  const questionsOf = (item: GenerationItem): GenerationItem[] =>
    item.seeds.flatMap((_, index) => {
      const { requestId, firstSample } = item;
      const sampleIndex = firstSample + index;
      const chain = chains.get(sampleId({ requestId, sampleIndex }));
      const request = item.rawMessages.at(-1)!.content;
      const messages = chain && questionAbout(state, chain, item.messages, request, settings);
      if (!messages) return [];
      // A question about the request alone shares no turns with others.
      const sharedMessages = state.phase === 'intents' ? 0 : item.sharedMessages;
      const seeds = [deriveSeed(seed, 'deliberation', state.phase, state.round, requestId, sampleIndex)];
      return [{ ...item, messages, sharedMessages, firstSample: sampleIndex, seeds }];
    });

  return publishDerivedPlan(dependencies, guided, questionsOf, asked);
}

/** What was written for the questions of a plan, by sample. */
async function repliesTo(
  dependencies: ActivityDependencies,
  planRef: ArtifactRef,
  policy: PolicyState,
  configuration: Configuration,
  by: 'policy' | 'teacher',
): Promise<{ replies: Map<string, AgentReply>; figures: Figures }> {
  const plan = await readJson<GenerationPlan>(dependencies.store, planRef);
  if (by === 'teacher') {
    const { texts, figures } = await teacherTexts(dependencies, plan, configuration);
    return { replies: texts, figures };
  }
  const replies = new Map<string, AgentReply>();
  let tokens = 0;
  for (const shard of plan.shards.keys()) {
    const manifest = await generatedChains(dependencies, plan, shard, policy, configuration);
    if (!manifest) throw missing(`the replies of shard ${shard}`, dependencies);
    for (const chain of await readLines<ChainRecord>(dependencies.store, manifest.outputs['chains']!)) {
      tokens += chain.tokens.length;
      replies.set(sampleId(chain), { text: chain.text, cut: chain.finishReason === 'length' });
    }
  }
  return { replies, figures: { 'deliberation/tokens': tokens } };
}
