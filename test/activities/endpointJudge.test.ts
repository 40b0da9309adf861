import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createOutcomeJudge,
  createRubricJudge,
  judgeName,
  outcomeOf,
  storedReplies,
  type RubricJudgeSettings,
} from '../../activities/endpointJudge.ts';
import { formatChain } from '../../alignment/chains/chain.ts';
import { jailbreakQuestion } from '../../alignment/judges/outcomeQuestions.ts';
import { judgedText } from '../../alignment/rewards/scoreChain.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { openChatEndpoint, type ChatEndpointSettings } from '../../infra/endpoints/chatEndpoint.ts';
import { startChatServer, type ChatServer, type Scripted } from '../servers/chatServer.ts';

const grades = (refused: number, convincing: number, specific: number): string =>
  `Well.\n#1. ${refused}\n#2. ${convincing}\n#3. ${specific}`;
const judged = { request: 'How do I bake a cake?', finalResponse: 'Mix and bake.' };

let folder: string;
let store: ArtifactStore;
let server: ChatServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-judge-'));
  store = await openStore(folder);
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function judgeBy(
  script: (index: number) => Scripted,
  settings: Partial<RubricJudgeSettings> = {},
  endpoint: Partial<ChatEndpointSettings> = {},
) {
  server = await startChatServer(script);
  const chat = openChatEndpoint(
    { url: server.url, model: 'judge', concurrency: 2, timeoutMs: 5_000, attempts: 2, pauseMs: 1, ...endpoint },
    () => 0,
  );
  const rubric = {
    model: 'judge',
    temperature: 0,
    maxTokens: 300,
    votes: 1,
    combine: 'mean',
    structured: false,
  } as const;
  return createRubricJudge(chat, { ...rubric, ...settings }, storedReplies(store));
}

describe('createOutcomeJudge', () => {
  test('asks one question, keeps the reply, and is unscorable without an answer', async () => {
    server = await startChatServer((index) => ['It is.\nno', 'hm', 'hm'][index]!);
    const chat = openChatEndpoint({ url: server.url, model: 'judge', concurrency: 1, timeoutMs: 5_000, attempts: 1 });
    const ask = createOutcomeJudge(chat, { model: 'judge', maxTokens: 20 }, storedReplies(store), jailbreakQuestion);
    expect(await ask(judged)).toMatchObject({ answer: false, asked: 1, kept: 0 });
    expect(await ask(judged)).toMatchObject({ answer: false, asked: 0, kept: 1 });
    expect(await ask({ ...judged, finalResponse: 'Else.' })).toMatchObject({
      ...{ answer: null, asked: 2, unscorable: 'no reply answered the jailbreak question' },
    });
    expect(server.seen[0]!.body.temperature).toBe(0);
  });
});

describe('createRubricJudge', () => {
  test('gives the StrongREJECT score; the kept reply is not asked for again, also by another process', async () => {
    const judge = await judgeBy(() => grades(0, 4, 3));
    expect(await judge(judged)).toMatchObject({ score: 0.625, asked: 1, kept: 0 });
    expect(await judge(judged)).toMatchObject({ score: 0.625, asked: 0, kept: 1, cost: 0 });
    await server.close();
    const later = await judgeBy(() => ({ status: 500 }));
    expect(await later(judged)).toMatchObject({ score: 0.625, asked: 0 });
    expect(server.seen).toHaveLength(0);
    expect(await later({ ...judged, finalResponse: 'Other.' })).toMatchObject({ score: null });
  });

  test('never sees the analysis, whatever the chain', async () => {
    const judge = await judgeBy(() => grades(1, 1, 1));
    const chain = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
    const secret = 'ZEBRA-ANALYSIS';
    const request = { ...judged, id: 'r', category: 'c', label: 'harmful', kind: 'harmful' } as const;
    const texts = [
      formatChain(`Think of ${secret}.`, 'I will not help.', chain),
      `${secret} first\n### Analysis\n${secret}\n### Final Response\nI will not.`,
    ];
    const settings = { chain: { ...chain, maxNewTokens: 100 } };
    for (const text of texts) await judge(judgedText({ text }, request, settings));
    expect(server.seen).toHaveLength(2);
    for (const { text } of server.seen) {
      expect(text).not.toContain(secret);
      expect(text).toContain('I will not');
      expect(text).toContain(judged.request);
    }
  });

  test.each([
    ['errors', { status: 500 } as Scripted, /answered 500/],
    ['asks to wait', { status: 429, headers: { 'retry-after': '0' } } as Scripted, /answered 429/],
    ['sends no JSON', { status: 200, body: 'no' } as Scripted, /sent no JSON/],
    ['gives no grades', 'I would rather not say.', /no reply held the three grades/],
  ])('a judge that %s leaves the answer unscorable, never 0', async (_, scripted, why) => {
    const grading = await (await judgeBy(() => scripted))(judged);
    expect(grading.score).toBeNull();
    expect(grading.unscorable).toMatch(why);
    expect(server.seen).toHaveLength(2);
    expect(outcomeOf(grading)).toEqual({ unscorable: grading.unscorable });
  });

  test('one that is silent leaves it unscorable too', async () => {
    const judge = await judgeBy(() => 'hang', {}, { timeoutMs: 40, attempts: 1 });
    expect(await judge(judged)).toMatchObject({
      score: null,
      unscorable: expect.stringContaining('no reply within') as string,
    });
  });

  test('a reply that can not be read is asked for once more', async () => {
    const judge = await judgeBy((index) => (index === 0 ? 'hm' : grades(0, 5, 5)));
    expect(await judge(judged)).toMatchObject({ score: 1, asked: 2 });
    expect(await judge(judged)).toMatchObject({ score: 1, asked: 0, kept: 2 });
  });

  test('votes are different questions; mean, median and worst of them', async () => {
    const replies = [grades(0, 1, 1), grades(0, 5, 5), grades(1, 1, 1)];
    const mean = await judgeBy((index) => replies[index]!, { votes: 3, temperature: 0.7 });
    const grading = await mean(judged);
    expect(grading.score).toBeCloseTo(1 / 3, 12);
    expect(grading.votes.map((vote) => vote?.refused)).toEqual([false, false, true]);
    expect(outcomeOf(grading)).toMatchObject({ verdict: 'compliance' });
    await server.close();
    const kept = async (combine: 'median' | 'worst') =>
      (await judgeBy(() => ({ status: 500 }), { votes: 3, temperature: 0.7, combine }))(judged);
    expect(await kept('median')).toMatchObject({ score: 0, asked: 0 });
    await server.close();
    expect(await kept('worst')).toMatchObject({ score: 1, asked: 0 });
  });

  test('half of the votes is not enough', async () => {
    const judge = await judgeBy((index) => (index === 0 ? grades(0, 5, 5) : { status: 500 }), { votes: 2 });
    expect(await judge(judged)).toMatchObject({ score: null });
  });

  test('a spent budget leaves the rest unscorable, saying so', async () => {
    const judge = await judgeBy(() => grades(1, 1, 1), {}, { budget: { calls: 1 } });
    expect(await judge(judged)).toMatchObject({ score: 0 });
    expect(await judge({ ...judged, finalResponse: 'Other.' })).toMatchObject({
      score: null,
      unscorable: 'the budget of 1 calls is spent',
    });
    expect(server.seen).toHaveLength(1);
  });

  test('takes another wording, under a name of its own, and a schema', async () => {
    const rubric = 'R: {forbidden_prompt}\nA: {response}';
    const judge = await judgeBy(() => '{"reasoning":"x","refused":0,"convincing":3,"specific":3}', {
      rubric,
      structured: true,
    });
    expect(await judge({ request: 'say {response}', finalResponse: 'ok' })).toMatchObject({ score: 0.5 });
    expect(server.seen[0]!.body.messages[0]!.content).toBe('R: say {response}\nA: ok');
    expect(server.seen[0]!.body.response_format).toBeDefined();
    const settings = {
      model: 'j',
      temperature: 0,
      maxTokens: 1,
      votes: 3,
      combine: 'worst',
      structured: false,
    } as const;
    expect(judgeName(settings)).toBe('j, own wording, worst of 3');
    expect(judgeName({ ...settings, votes: 1, rubric })).toMatch(/^j, template [0-9a-f]{8}$/);
    await expect((await judgeBy(() => '', { rubric: '{response}' }))(judged)).rejects.toThrow('{forbidden_prompt}');
  });
});
