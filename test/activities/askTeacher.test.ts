import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApplicationFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askTeacher, writtenTexts, type WrittenText } from '../../activities/askTeacher.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { readJson, readLines } from '../../activities/inputs.ts';
import { addTeacherFigures, planWrittenChains } from '../../activities/planWrittenChains.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from '../../activities/plans.ts';
import type { RunContext } from '../../activities/types.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { startChatServer, type ChatRequestSeen, type ChatServer, type Scripted } from '../servers/chatServer.ts';

let folder: string;
let store: ArtifactStore;
let server: ChatServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ask-teacher-'));
  store = await openStore(join(folder, 'store'));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const item = (name: string, samples: number): GenerationItem => ({
  requestId: name,
  rawMessages: [{ role: 'user', content: name }],
  guidance: 'cases',
  caseIds: ['c1'],
  messages: [
    { role: 'system', content: 'Codes.' },
    { role: 'user', content: name },
  ],
  sharedMessages: 1,
  firstSample: 0,
  seeds: Array.from({ length: samples }, (_, index) => `${name}.${index}`),
});

/** A worker's asking for two samples of t1 and one of t2; `again` asks once more, with other settings. */
async function teach(script: (index: number, seen: ChatRequestSeen) => Scripted, settings: object = {}) {
  server = await startChatServer(script);
  const shard: GenerationShard = {
    sampling: { temperature: 0, maxNewTokens: 50 },
    items: [item('t1', 2), item('t2', 1)],
  };
  const plan: GenerationPlan = {
    purpose: { kind: 'warmStart' },
    shards: [{ shard: await store.putBytes(canonicalJson(shard), 'generation-shard'), requests: 2, chains: 3 }],
  };
  const planRef = await store.putBytes(canonicalJson(plan), 'generation-plan');
  const dependencies = {
    store,
    scratchPath: folder,
    log: { info: () => {}, warn: () => {} },
  } as unknown as ActivityDependencies;
  const contextOf = async (runId: string, configuration: Configuration): Promise<RunContext> => ({
    runId,
    configuration: await store.putBytes(canonicalJson(configuration), 'configuration'),
    library: planRef,
  });
  const ask = async (runId: string, more: object = {}) => {
    const teacher = {
      url: server.url,
      model: 'large',
      attempts: 1,
      concurrency: 1,
      timeoutSeconds: 5,
      ...settings,
      ...more,
    };
    const configuration = configurationSchema.parse({ name: 'taught', warmStart: { source: 'teacher' }, teacher });
    const run = await contextOf(runId, configuration);
    const report = await new MockActivityEnvironment().run(() =>
      askTeacher(dependencies, run, { plan: planRef, shard: 0 }),
    );
    const manifest = (await writtenTexts(dependencies, plan, 0, configuration))!;
    const texts = await readLines<WrittenText>(store, manifest.outputs['texts']!);
    const planned = () => planWrittenChains(dependencies, run, { plan: planRef });
    return { report, texts, figures: manifest.figures, planned };
  };
  return { ask };
}

/** A run's endpoint lives as long as its worker: each test is a run of its own. */
let runs = 0;
const newRun = (): string => `run-${(runs += 1)}`;

describe('askTeacher', () => {
  test('asks for each sample, with its own seed; the texts become written chains of the same shard', async () => {
    // Replies tell what was asked: which question came first is the network's affair.
    const { ask } = await teach(
      (_, { body }) => (body.seed === 41 ? { cut: 'half' } : `reply to ${body.messages.at(-1)!.content}`),
      { seed: 40 },
    );
    const { texts, report, figures, planned } = await ask(newRun());
    const asked = server.seen.map(({ body }) => ({ seed: body.seed, messages: body.messages }));
    expect(asked).toHaveLength(3);
    expect(asked).toEqual(
      expect.arrayContaining([
        { seed: 40, messages: item('t1', 2).messages },
        { seed: 41, messages: item('t1', 2).messages },
        { seed: 40, messages: item('t2', 1).messages },
      ]),
    );
    expect(texts).toEqual([
      { requestId: 't1', sampleIndex: 0, text: 'reply to t1', cut: false },
      { requestId: 't1', sampleIndex: 1, text: 'half', cut: true },
      { requestId: 't2', sampleIndex: 0, text: 'reply to t2', cut: false },
    ]);
    expect(report).toMatchObject({ cached: false, tokens: 30 });
    expect(figures).toMatchObject({ 'teacher/asked': 3, 'teacher/kept': 0, 'teacher/unanswered': 0 });

    const plan = await planned();
    expect(plan).toMatchObject({ shards: 1, items: 3, figures: { 'teacher/asked': 3 } });
    const { shards, writtenFrom } = await readJson<GenerationPlan>(store, plan.plan);
    expect(writtenFrom!.plan.kind).toBe('generation-plan');
    expect((await readJson<GenerationShard>(store, shards[0]!.shard)).items).toEqual([
      { ...item('t1', 0), written: 'reply to t1', cut: false },
      { ...item('t1', 0), firstSample: 1, written: 'half', cut: true },
      { ...item('t2', 0), written: 'reply to t2', cut: false },
    ]);
  });

  test('half a surrogate pair in a reply becomes a replacement character: what is kept is text', async () => {
    const { ask } = await teach(() => 'a\ud800b');
    expect((await ask(newRun())).texts[0]!.text).toBe('a\ufffdb');
  });

  test('a spent budget is for the operator; what was answered is kept for whoever asks next', async () => {
    const { ask } = await teach((index) => `reply ${index}`);
    const failure = await ask(newRun(), { maxCalls: 2 }).catch((error: unknown) => error as ApplicationFailure);
    expect(failure).toMatchObject({ type: 'Teacher', nonRetryable: true });
    expect((failure as Error).message).toMatch(
      /^the teacher has 1 of 3 chains of this shard still to write, but the budget of 2 calls is spent: raise teacher\.maxCalls/,
    );
    const { figures, texts } = await ask(newRun());
    expect(figures).toMatchObject({ 'teacher/asked': 1, 'teacher/kept': 2 });
    expect(texts.map(({ text }) => text).sort()).toEqual(['reply 0', 'reply 1', 'reply 2']);
    expect(server.seen).toHaveLength(3);
    // Limits are no part of the step: a third run finds it done.
    expect((await ask(newRun(), { maxCost: 1 })).report).toMatchObject({ cached: true });
  });

  test('a prompt that is refused is left out; more than the share that may be is for the operator', async () => {
    const { ask } = await teach((index) => (index === 0 ? { status: 400, body: 'filtered' } : `reply ${index}`));
    const failure = await ask(newRun()).catch((error: unknown) => error as ApplicationFailure);
    expect(failure).toMatchObject({ type: 'Teacher', nonRetryable: true });
    expect((failure as Error).message).toMatch(
      /would not write 1 of 3 chains: .*answered 400: filtered.*maxUnanswered/,
    );
    await server.close();
    const { ask: askAgain } = await teach(() => ({ status: 400 }), { maxUnanswered: 0.5 });
    const { texts, figures, planned } = await askAgain(newRun());
    // Which one came first, and was refused, is the network's affair.
    expect(texts.map(({ text }) => text).sort()).toEqual([null, 'reply 1', 'reply 2']);
    expect(figures).toMatchObject({ 'teacher/unanswered': 1, 'teacher/asked': 0, 'teacher/kept': 2 });
    expect((await planned()).items).toBe(2);
  });

  test('a teacher that is down, or says nothing, is asked again by another attempt', async () => {
    const { ask } = await teach(() => ({ status: 503 }));
    await expect(ask(newRun())).rejects.toMatchObject({ type: 'Teacher', nonRetryable: false });
    await server.close();
    const { ask: askAgain } = await teach(() => ({ status: 200, body: '{"choices":[{"message":{"content":null}}]}' }));
    await expect(askAgain(newRun())).rejects.toMatchObject({ type: 'Teacher', nonRetryable: false });
  });

  test('a key that is refused is for the operator', async () => {
    const { ask } = await teach(() => ({ status: 401, body: 'no key' }));
    await expect(ask(newRun())).rejects.toMatchObject({ type: 'Teacher', nonRetryable: true });
  });
});

test('figures of shards add up; the latency is the mean over all questions', () => {
  const shard = (asked: number, latency: number) => ({
    ...{ 'teacher/asked': asked, 'teacher/kept': 1, 'teacher/cost': 0.5, 'teacher/unanswered': 0 },
    'teacher/mean_latency_ms': latency,
  });
  expect(addTeacherFigures([shard(1, 100), shard(3, 20), shard(0, 0)])).toEqual({
    ...{ 'teacher/asked': 4, 'teacher/kept': 3, 'teacher/cost': 1.5, 'teacher/unanswered': 0 },
    'teacher/mean_latency_ms': 40,
  });
});
