import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';
import {
  askKept,
  newTally,
  questionDigest,
  storedReplies,
  tallyFigures,
} from '../../../infra/endpoints/keptReplies.ts';

const question = { messages: [{ role: 'user' as const, content: 'How much?' }], temperature: 0, maxTokens: 50 };

test('a kept reply is given again and not asked for; both are counted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cada-replies-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = await openStore(folder);
  let asked = 0;
  const reply = { inputTokens: 1, outputTokens: 2, cost: 0.5, latencyMs: 20 };
  const ask = () => Promise.resolve({ ...reply, text: `reply ${++asked}` });
  const tally = newTally();
  const digest = questionDigest('teacher', question, 0, 0);
  const asking = { endpoint: { ask }, cache: storedReplies(store, 'replies') };
  expect((await askKept(asking, question, digest, tally)).text).toBe('reply 1');
  expect((await askKept(asking, question, digest, tally)).text).toBe('reply 1');
  expect(await store.getDocument(`replies/${digest}.json`)).toMatchObject({ value: { text: 'reply 1' } });
  expect(tallyFigures('teacher', [tally, { ...newTally(), asked: 1, latencyMs: 40, cost: 1 }])).toEqual({
    'teacher/asked': 2,
    'teacher/kept': 1,
    'teacher/cost': 1.5,
    'teacher/mean_latency_ms': 30,
  });
  expect(tallyFigures('teacher', [])).toEqual({});
});

test('the digest is of the question, whoever waits for it; a seed makes another', () => {
  const digest = questionDigest('teacher', question, 0, 0);
  expect(questionDigest('teacher', { ...question, signal: AbortSignal.timeout(1) }, 0, 0)).toBe(digest);
  const others = [
    questionDigest('other', question, 0, 0),
    questionDigest('teacher', { ...question, seed: 1 }, 0, 0),
    questionDigest('teacher', question, 1, 0),
    questionDigest('teacher', question, 0, 1),
  ];
  expect(new Set([digest, ...others]).size).toBe(5);
});
