/** Leaks in an evaluation on suites: a question of its own about the analysis, and only where asked for. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { readJson, toLines } from '../../activities/inputs.ts';
import { judgeAnswers, summariseSuites, type SuiteResult } from '../../activities/judgeSuites.ts';
import type { RunContext } from '../../activities/types.ts';
import type { SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import { formatChain, type ChainFormat } from '../../alignment/chains/chain.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { makeChain } from '../alignment/makeChain.ts';
import { libraryFiles } from '../alignment/makeLibrary.ts';
import { startChatServer, type ChatServer } from '../servers/chatServer.ts';

let folder: string;
let store: ArtifactStore;
let server: ChatServer | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'judge-answers-'));
  store = await openStore(join(folder, 'store'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

const format: ChainFormat = { analysisHeading: '-', responseHeading: '-', format: 'think' };
const question = (id: string, kind: SuiteQuestion['kind']): SuiteQuestion => ({
  ...{ id, suite: 'xstest', category: 'c', kind, prompt: `Question ${id}`, goal: `Question ${id}` },
});
const questions = [
  question('leaks', 'harmful'),
  question('holds', 'harmful'),
  question('answers', 'harmful'),
  question('safe', 'look-alike'),
];
const refusal = 'I will not help with that.';
const chains = [
  makeChain('leaks', { text: formatChain('You can use a SECRET oven.', refusal, format) }),
  makeChain('holds', { text: formatChain('This is harmful under code 2: SECRET.', refusal, format) }),
  makeChain('answers', { text: formatChain('You can use a SECRET oven.', 'Mix flour and water.', format) }),
  makeChain('safe', { text: formatChain('You can use a SECRET oven.', refusal, format) }),
];

async function evaluated(leaks: boolean, judge?: object): Promise<SuiteResult> {
  const files = {
    ...libraryFiles(),
    'judges/refusal.json': readFileSync(resolve('library/judges/refusal.json'), 'utf8'),
  };
  const put = (value: unknown, kind: string) => store.putBytes(canonicalJson(value), kind);
  const configuration = configurationSchema.parse({
    name: 'evaluation',
    chain: { format: 'think' },
    ...(leaks ? { evaluation: { leaks } } : {}),
  });
  const run: RunContext = {
    runId: `leaks-${leaks}`,
    configuration: await put(configuration, 'configuration'),
    library: await put(files, 'library'),
  };
  const artifact = await store.putBytes(toLines(chains), 'chains');
  const input = {
    questions: await store.putBytes(toLines(questions), 'suite-questions'),
    chains: await put({ plan: 'p', shards: [{ artifact, rows: chains.length }] }, 'chain-list'),
    ...(judge ? { judge: await put(judge, 'judge-settings') } : {}),
  };
  const dependencies = {
    ...{ store, scratchPath: folder },
    log: { info: () => {}, warn: () => {} },
  } as unknown as ActivityDependencies;
  const model = await put({ baseModelName: 'tiny', digest: 'd' }, 'model');
  return new MockActivityEnvironment().run(async () => {
    await judgeAnswers(dependencies, run, { ...input, shard: 0 });
    const { result } = await summariseSuites(dependencies, run, { ...input, policy: { model } });
    return readJson<SuiteResult>(store, result);
  }) as Promise<SuiteResult>;
}

describe('leaks of an evaluation', () => {
  it('are told by the rules, of refusals of harmful questions alone', async () => {
    const { answers, suites } = await evaluated(true);
    expect(answers.map(({ id, leak }) => [id, leak])).toEqual([
      ['leaks', { rules: true }],
      ['holds', { rules: false }],
      ['answers', undefined],
      ['safe', undefined],
    ]);
    expect(suites[0]!.measures.find(({ name }) => name.startsWith('leak'))).toMatchObject({ value: 0.5, n: 2 });
    const without = await evaluated(false);
    expect(without.answers.some((answer) => 'leak' in answer)).toBe(false);
    expect(without.suites[0]!.measures.some(({ name }) => name.startsWith('leak'))).toBe(false);
  });

  it('are graded by the rubric judge in questions of their own; no other question shows an analysis', async () => {
    // Full help for what shows the oven, none for the rest; a class for the question about the safe prompt.
    server = await startChatServer((_index, { text }) =>
      text.includes('SECRET oven') ? '#1. 0\n#2. 5\n#3. 5' : '#1. 1\n#2. 1\n#3. 1\n2_full_refusal',
    );
    const judge = { url: server.url, model: 'grader', attempts: 1 };
    const { answers, judge: figures, suites } = await evaluated(true, judge);
    expect(answers.map(({ leak }) => leak)).toEqual([
      { rules: true, score: 1 },
      { rules: false, score: 0 },
      undefined,
      undefined,
    ]);
    expect(suites[0]!.measures.filter(({ name }) => name.startsWith('leak')).map(({ value }) => value)).toEqual([
      0.5, 0.5,
    ]);
    const shown = server.seen.filter(({ text }) => text.includes('SECRET'));
    expect(shown.map(({ text }) => /Question \w+/.exec(text)![0]).sort()).toEqual(['Question holds', 'Question leaks']);
    for (const { text } of shown) expect(text).not.toContain(refusal);
    expect(figures['judge/asked']).toBe(server.seen.length);
  });
});
