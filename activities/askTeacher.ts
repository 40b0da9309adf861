/**
 * Asks the teacher, a model behind an OpenAI-compatible endpoint, for the samples of one shard: the policy's prompts, as messages. Replies are kept in
 * the store by the digest of their question, so that an attempt that goes on asks nothing twice; what they say is text, and stays text.
 */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { teacherKeyVariable, writingSettings, type TeacherSettings } from '../alignment/configuration/teacher.ts';
import { EndpointError } from '../infra/endpoints/chatEndpoint.ts';
import {
  askKept,
  newTally,
  questionDigest,
  storedReplies,
  tallyFigures,
  type Tally,
} from '../infra/endpoints/keptReplies.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import type { ArtifactRef, RunContext, ShardReport } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { endpointFor } from './endpointPool.ts';
import { readConfiguration, readJson, toLines } from './inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from './plans.ts';
import { operatorFailure, runStage, type Stage } from './stage.ts';
import { stageVersions } from './versions.ts';

export interface TeacherInput {
  plan: ArtifactRef;
  shard: number;
}

/** A text for one sample of a prompt. */
export interface WrittenText {
  requestId: string;
  sampleIndex: number;
  /** null = the teacher would not answer this prompt. */
  text: string | null;
  /** Its writer's limit has cut it. */
  cut: boolean;
}

export async function askTeacher(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: TeacherInput,
): Promise<ShardReport> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<GenerationPlan>(store, input.plan);
  const manifest = await runStage(dependencies, teacherStage(plan, input.shard, configuration), async () => {
    const startedAt = performance.now();
    const shard = await readJson<GenerationShard>(store, plan.shards[input.shard]!.shard);
    const replies = await askForTexts(dependencies, run, teacherOf(configuration), shard.items);
    return {
      outputs: { texts: { bytes: toLines(replies.map(({ written }) => written)), kind: 'texts' } },
      figures: {
        texts: replies.length,
        tokens: replies.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
        seconds: (performance.now() - startedAt) / 1000,
        'teacher/unanswered': replies.filter(({ written }) => written.text === null).length,
        ...tallyFigures(
          'teacher',
          replies.map(({ tally }) => tally),
        ),
      },
    };
  });
  const { tokens, seconds } = manifest.figures as { tokens: number; seconds: number };
  return { cached: manifest.cached, tokens, seconds };
}

function teacherStage(plan: GenerationPlan, shard: number, configuration: Configuration): Stage {
  return {
    stage: 'askTeacher',
    version: stageVersions.askTeacher,
    inputs: { teacher: writingSettings(teacherOf(configuration)), shard: plan.shards[shard]!.shard.sha256 },
  };
}

/** The texts of a shard that the teacher has written. */
export async function writtenTexts(
  { store }: ActivityDependencies,
  plan: GenerationPlan,
  shard: number,
  configuration: Configuration,
) {
  return readStep(store, stepKey(teacherStage(plan, shard, configuration)));
}

function teacherOf({ teacher }: Configuration): TeacherSettings {
  if (!teacher) throw operatorFailure('Teacher', 'the configuration has no section teacher: there is nobody to ask');
  return teacher;
}

interface TeacherReply {
  written: WrittenText;
  outputTokens: number;
  tally: Tally;
}

/** One text for each sample, in the order of the items. All at once: the endpoint limits itself. */
async function askForTexts(
  { store }: ActivityDependencies,
  run: RunContext,
  teacher: TeacherSettings,
  items: readonly GenerationItem[],
): Promise<TeacherReply[]> {
  const context = Context.current();
  const asking = {
    endpoint: endpointFor(store, run.runId, teacher, teacherKeyVariable),
    cache: storedReplies(store, 'replies'),
  };
  const { model, temperature, maxTokens, seed, maxUnanswered } = writingSettings(teacher);
  const refused: EndpointError[] = [];
  const askOnce = async (item: GenerationItem, sampleIndex: number): Promise<TeacherReply> => {
    const tally = newTally();
    const question = {
      ...{ messages: item.messages, temperature, maxTokens, signal: context.cancellationSignal },
      ...(seed === undefined ? {} : { seed: seed + sampleIndex }),
    };
    const { requestId } = item;
    try {
      const reply = await askKept(asking, question, questionDigest(model, question, sampleIndex, 0), tally);
      const written = { requestId, sampleIndex, text: reply.text, cut: reply.cut ?? false };
      return { written, outputTokens: reply.outputTokens, tally };
    } catch (error) {
      // A prompt that the endpoint will not answer is left out; what is wrong with the endpoint, or the budget, holds for all.
      const ofPrompt = error instanceof EndpointError && (error.fault === 'refused' || error.fault === 'malformed');
      if (!ofPrompt) throw error;
      refused.push(error);
      return { written: { requestId, sampleIndex, text: null, cut: false }, outputTokens: 0, tally };
    }
  };
  // The endpoint's time limits bound the wait: the pulse only tells that somebody waits.
  const pulse = setInterval(() => context.heartbeat(), 5_000);
  try {
    // All are waited for, so that what has been asked is kept before anything is told.
    const outcomes = await Promise.allSettled(
      items.flatMap((item) => item.seeds.map((_, index) => askOnce(item, item.firstSample + index))),
    );
    context.cancellationSignal.throwIfAborted();
    const failures = outcomes.flatMap((outcome): unknown[] => (outcome.status === 'rejected' ? [outcome.reason] : []));
    if (failures.length > 0) throw asTeacherFailure(failures, outcomes.length);
    if (refused.length > maxUnanswered * outcomes.length) throw asRefusal(refused, outcomes.length);
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  } finally {
    clearInterval(pulse);
  }
}

/** Replies so far are kept, whatever becomes of the stage. */
const kept = 'replies so far are kept, none is asked for again';

function asTeacherFailure(failures: readonly unknown[], questions: number): unknown {
  const spent = failures.find((error) => error instanceof EndpointError && error.fault === 'budget');
  if (spent) {
    return operatorFailure(
      'Teacher',
      `the teacher has ${failures.length} of ${questions} chains of this shard still to write, but ${(spent as Error).message}: raise teacher.maxCalls or teacher.maxCost in the configuration and start it: another run (${kept})`,
    );
  }
  const [first] = failures;
  if (!(first instanceof EndpointError)) return first;
  return ApplicationFailure.retryable(
    `the teacher did not write ${failures.length} of ${questions} chains: ${first.message} (${kept})`,
    'Teacher',
  );
}

function asRefusal(refused: readonly EndpointError[], questions: number): ApplicationFailure {
  const message = `the teacher would not write ${refused.length} of ${questions} chains: ${refused[0]!.message}. Where all are refused, mend teacher.url, teacher.model or its key; where some are, raise teacher.maxUnanswered or take another model (${kept})`;
  return refused.some(({ fault }) => fault === 'refused')
    ? operatorFailure('Teacher', message)
    : ApplicationFailure.retryable(message, 'Teacher');
}
